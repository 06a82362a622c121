// A browser with JsSIP as a phone. Reads commands as JSON, one a line: {"do": "dial", "what": "sip:…"}; writes events.
// The page is served on 127.0.0.1, which browsers take for a secure place: only there is there a microphone.

const fs = require('fs');
const http = require('http');
const path = require('path');
const readline = require('readline');

const settings = JSON.parse(process.argv[2]);
const puppeteer = require(path.join(settings.modules, 'node_modules', 'puppeteer-core'));

const tell = (type, more = {}) => process.stdout.write(JSON.stringify({ type, ...more }) + '\n');

/** Runs in the page. */
function phone({ url, address, password, answers, only, video, relay }) {
  const say = (type, more = {}) => window.tell(type, more);
  const agent = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(url)],
    uri: address,
    password,
    register_expires: 60,
    session_timers: false,
  });
  // What improves speech would take a tone for noise.
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  // With a relay, all media goes through it.
  const pcConfig = relay ? { iceServers: [relay], iceTransportPolicy: 'relay' } : { iceServers: [] };
  const options = { mediaConstraints: { audio, video }, pcConfig };
  let session = null;
  let samples = [];
  const hear = (stream) => {
    // Sound of a remote track flows only while an element has it.
    const element = Object.assign(document.createElement('audio'), { srcObject: stream, muted: true });
    element.play();
    const context = new AudioContext();
    const tap = context.createScriptProcessor(4096, 1, 1);
    tap.onaudioprocess = ({ inputBuffer }) => samples.push(...inputBuffer.getChannelData(0));
    context.createMediaStreamSource(stream).connect(tap).connect(context.destination);
    say('HEARS', { rate: context.sampleRate });
  };
  const connect = (connection) => {
    connection.addEventListener('track', ({ track }) => {
      if (track.kind === 'audio') hear(new MediaStream([track]));
    });
    connection.addEventListener('icecandidateerror', ({ url, errorCode, errorText }) =>
      console.warn(`${url}: ${errorCode} ${errorText}`));
  };
  /** Leaves one codec, and its events, in the sound of an offer. */
  const narrowed = (sdp) => sdp.replace(/^m=audio (\d+) (\S+) (.*)$/m, (_, port, profile, formats) => {
    const kept = formats.split(' ').filter((format) =>
      new RegExp(`a=rtpmap:${format} (${only}/|telephone-event/48000)`, 'i').test(sdp));
    return `m=audio ${port} ${profile} ${kept.join(' ')}`;
  });
  agent.on('connected', () => say('CONNECTED'));
  agent.on('disconnected', () => say('DISCONNECTED'));
  agent.on('registered', () => say('REGISTERED'));
  agent.on('registrationFailed', (event) => say('REGISTRATION_FAILED', { cause: event.cause }));
  agent.on('newMessage', ({ originator, request }) => {
    if (originator === 'remote') say('message', { body: request.body });
  });
  agent.on('newRTCSession', ({ originator, session: opened }) => {
    session = opened;
    if (session.connection) connect(session.connection);
    session.on('peerconnection', ({ peerconnection }) => connect(peerconnection));
    if (only) {
      session.on('sdp', (event) => {
        if (event.originator === 'local') event.sdp = narrowed(event.sdp);
      });
    }
    const ended = (event) => say('CALL_CLOSED', { cause: event.cause });
    session.on('progress', () => say('CALL_RINGING'));
    session.on('confirmed', () => say('CALL_ESTABLISHED'));
    session.on('ended', ended);
    session.on('failed', ended);
    session.on('newDTMF', ({ originator: by, dtmf }) => say('KEY', { by, tone: dtmf.tone }));
    if (originator === 'remote') {
      say('CALL_INCOMING');
      if (answers) session.answer(options);
    }
  });
  window.commands = {
    dial: (target) => agent.call(target, options),
    answer: () => session.answer(options),
    hangup: () => session.terminate(),
    press: ({ keys, by }) => session.sendDTMF(keys, { duration: 160, interToneGap: 200, transportType: by }),
    /** What a page does when the network is another: a new connection, a new registration, ICE anew. */
    reconnect: () => {
      agent.once('registered', () => session.renegotiate({ rtcOfferConstraints: { iceRestart: true } }, () => say('RENEGOTIATED')));
      agent.transport.disconnect();
      agent.transport.connect();
    },
    hold: () => session.hold({}, () => say('HELD')),
    resume: () => session.unhold({}, () => say('RESUMED')),
    recording: () => window.keep(samples.map((one) => Math.round(Math.max(-1, Math.min(1, one)) * 32767))),
    measure: async () => {
      const all = [...(await session.connection.getStats()).values()];
      const of = (type, kind) => all.find((one) => one.type === type && one.kind === kind) || {};
      const [sound, picture, shown] = [of('inbound-rtp', 'audio'), of('inbound-rtp', 'video'), of('outbound-rtp', 'video')];
      say('MEASURED', {
        frames: picture.framesDecoded || 0,
        packets: sound.packetsReceived || 0,
        asked: (shown.pliCount || 0) + (shown.firCount || 0),
        keyFrames: shown.keyFramesEncoded || 0,
      });
    },
    leave: () => agent.stop(),
  };
  agent.start();
}

async function main() {
  const library = fs.readFileSync(path.join(settings.modules, 'jssip.bundle.js'));
  const server = http.createServer((request, response) => {
    const isLibrary = request.url === '/jssip.js';
    response.setHeader('Content-Type', isLibrary ? 'text/javascript' : 'text/html');
    response.end(isLibrary ? library : '<!doctype html><meta charset="utf-8"><script src="/jssip.js"></script>');
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const browser = await puppeteer.launch({
    executablePath: settings.chromium,
    userDataDir: path.join(settings.folder, 'profile'),
    args: [
      '--no-sandbox', '--disable-gpu', '--no-first-run', '--no-proxy-server', '--disable-background-networking',
      '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
      ...(settings.loopback ? ['--allow-loopback-in-peer-connection'] : []),
      `--use-file-for-fake-audio-capture=${settings.tone}`, '--autoplay-policy=no-user-gesture-required',
      '--disable-features=WebRtcHideLocalIpsWithMdns',
      ...(settings.trusted ? [`--ignore-certificate-errors-spki-list=${settings.trusted}`] : []),
    ],
  });
  const page = await browser.newPage();
  page.on('console', (line) => process.stderr.write(`${line.text()}\n`));
  page.on('pageerror', (error) => process.stderr.write(`${error}\n`));
  await page.exposeFunction('tell', tell);
  await page.exposeFunction('keep', (samples) => {
    fs.writeFileSync(path.join(settings.folder, 'heard.raw'), Buffer.from(new Int16Array(samples).buffer));
    tell('KEPT');
  });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.evaluate(phone, settings);

  const leave = async () => {
    await page.evaluate(() => window.commands.leave()).catch(() => {});
    // The farewell has to leave before the browser does.
    await new Promise((done) => setTimeout(done, 500));
    await browser.close();
    process.exit(0);
  };
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('close', leave);
  lines.on('line', async (line) => {
    const { do: word, what } = JSON.parse(line);
    if (word === 'leave') return leave();
    await page.evaluate((name, argument) => { window.commands[name](argument); }, word, what)
      .catch((error) => tell('ERROR', { error: String(error) }));
  });
}

main().catch((error) => {
  tell('ERROR', { error: String(error) });
  process.exit(1);
});
