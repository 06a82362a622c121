/* A loudspeaker for baresip 1.0 with a clock that is never late: every packet time it asks for a block and appends it to the WAV file
 * that is its device. So the file has what the ear hears, gaps included. The header file of baresip is not in Debian; what follows
 * declares the little of it, and of its library, that is used here.
 *
 *   cc -shared -fPIC -O2 -pthread -o player.so player.c */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct auplay;
struct list;
struct auplay_prm {
	uint32_t srate;
	uint8_t ch;
	uint32_t ptime;
	int fmt;
};
struct auplay_st {
	const struct auplay *ap; /* baresip reads this */
	void (*ask)(void *samples, size_t count, void *arg);
	void *arg;
	struct auplay_prm format;
	FILE *file;
	atomic_bool going;
	pthread_t thread;
};
typedef int opener(struct auplay_st **, const struct auplay *, struct auplay_prm *, const char *,
		   void (*)(void *, size_t, void *), void *);
struct mod_export {
	const char *name, *type;
	int (*init)(void), (*close)(void);
};
void *mem_zalloc(size_t, void (*)(void *));
void *mem_deref(void *);
struct list *baresip_auplayl(void);
int auplay_register(struct auplay **, struct list *, const char *, opener *);

static struct auplay *registered;

static void *play(void *it)
{
	struct auplay_st *player = it;
	size_t count = (size_t)player->format.srate * player->format.ch * player->format.ptime / 1000;
	int16_t *block = calloc(count, sizeof *block);
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	while (block && player->going) {
		memset(block, 0, count * sizeof *block);
		player->ask(block, count, player->arg);
		fwrite(block, sizeof *block, count, player->file);
		fflush(player->file);
		next.tv_nsec += player->format.ptime * 1000000L;
		next.tv_sec += next.tv_nsec / 1000000000L;
		next.tv_nsec %= 1000000000L;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	free(block);
	return NULL;
}

static void ended(void *it)
{
	struct auplay_st *player = it;

	if (atomic_exchange(&player->going, false))
		pthread_join(player->thread, NULL);
	if (player->file)
		fclose(player->file);
}

static int opened(struct auplay_st **out, const struct auplay *ap, struct auplay_prm *format, const char *device,
		  void (*ask)(void *, size_t, void *), void *arg)
{
	struct auplay_st *player = mem_zalloc(sizeof *player, ended);
	struct { char riff[4]; uint32_t all; char wave[8]; uint32_t size; uint16_t kind, channels; uint32_t rate, octets;
		 uint16_t block, bits; char data[4]; uint32_t length; } head = {
		"RIFF", 0, "WAVEfmt ", 16, 1, format->ch, format->srate, format->srate * format->ch * 2, format->ch * 2, 16, "data", 0 };

	if (!player)
		return 12;
	player->ap = ap;
	player->ask = ask;
	player->arg = arg;
	player->format = *format;
	player->file = fopen(device, "wb");
	if (player->file) {
		fwrite(&head, sizeof head, 1, player->file);
		player->going = true;
		if (pthread_create(&player->thread, NULL, play, player))
			player->going = false;
	}
	if (!player->going) {
		mem_deref(player);
		return 5;
	}
	*out = player;
	return 0;
}

static int loaded(void)
{
	return auplay_register(&registered, baresip_auplayl(), "player", opened);
}

static int unloaded(void)
{
	registered = mem_deref(registered);
	return 0;
}

const struct mod_export exports = { "player", "auplay", loaded, unloaded };
