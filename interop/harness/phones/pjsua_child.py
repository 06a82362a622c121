"""One pjsua2 endpoint. Settings as JSON in the first argument; commands on stdin: call URI | hangup | quit |
transfer URI (the last call) | join (the first call with the party of the last); events as JSON lines on stdout. Everything runs on this one thread, as the library asks."""

import json
import os
import select
import sys

import pjsua2 as pj


def tell(kind, **more):
    print(json.dumps({"type": kind, **more}), flush=True)


# Who is held by the other side hears what that has for it.
HEARS = (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD)


class Call(pj.Call):
    """Tells its states, plays the tone and records the other side."""

    def __init__(self, phone, number=pj.PJSUA_INVALID_ID):
        super().__init__(phone, number)
        self.phone = phone

    def onCallState(self, _):
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            tell("confirmed")
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            tell("closed", code=info.lastStatusCode, reason=info.lastReason)

    def onCallMediaState(self, _):
        info = self.getInfo()  # kept: the list of media lives inside it
        for index, media in enumerate(info.media):
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status in HEARS:
                audio = self.getAudioMedia(index)
                self.phone.player.startTransmit(audio)
                audio.startTransmit(self.phone.recorder)


    def onCallTransferStatus(self, status):
        # Whom it has sent on has arrived: it has nothing more to say to it.
        if status.finalNotify and status.statusCode // 100 == 2:
            self.hangup(pj.CallOpParam())


class Phone(pj.Account):
    """The account, the tone, the recorder and the calls. Calls are kept: the library crashes when one is collected."""

    def __init__(self, settings):
        super().__init__()
        self.calls, self.headers = [], settings["headers"]
        self.player, self.recorder = pj.AudioMediaPlayer(), pj.AudioMediaRecorder()
        self.player.createPlayer(settings["play"])
        self.recorder.createRecorder(settings["record"])
        self.create(account(settings), True)

    def onRegState(self, state):
        tell("registration", code=state.code, expires=state.expiration)

    def onIncomingCall(self, incoming):
        self.calls.append(Call(self, incoming.callId))
        self.calls[-1].answer(operation(200))

    def dial(self, target):
        self.calls.append(Call(self))
        parameters = pj.CallOpParam(True)
        for name, value in self.headers:
            header = pj.SipHeader()
            header.hName, header.hValue = name, value
            parameters.txOption.headers.append(header)
        self.calls[-1].makeCall(target, parameters)


def operation(code):
    parameters = pj.CallOpParam()
    parameters.statusCode = code
    return parameters


def account(settings):
    made = pj.AccountConfig()
    made.idUri = f"<{settings['address']}>"
    made.regConfig.registrarUri = f"sip:{settings['domain']}"
    made.regConfig.timeoutSec = 300
    made.sipConfig.proxies.append(settings["server"])
    made.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", settings["user"], 0, settings["password"]))
    made.mediaConfig.transportConfig.boundAddress = settings["host"]
    made.mediaConfig.transportConfig.port = settings["rtp"]
    made.mediaConfig.transportConfig.portRange = 10
    made.mediaConfig.srtpUse = {"off": 0, "optional": 1, "mandatory": 2}[settings["srtp"]]
    made.mediaConfig.srtpSecureSignaling = 0
    made.mwiConfig.enabled = False
    return made


def endpoint(settings):
    made = pj.Endpoint()
    made.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.level, config.logConfig.consoleLevel = 5, 0
    config.logConfig.filename = settings["log"]
    config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
    config.medConfig.noVad, config.medConfig.ecTailLen = True, 0
    made.libInit(config)
    transport = pj.TransportConfig()
    transport.boundAddress = settings["host"]
    kinds = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}
    made.transportCreate(kinds[settings["transport"]], transport)
    made.libStart()
    made.audDevManager().setNullDev()
    for codec in made.codecEnum2():
        made.codecSetPriority(codec.codecId, 200 if codec.codecId.startswith("PCM") else 0)
    return made


def obey(phone, line):
    """False after `quit`."""
    command, _, target = line.partition(" ")
    if command == "call":
        phone.dial(target)
    elif command == "transfer":
        phone.calls[-1].xfer(target, pj.CallOpParam(True))
    elif command == "join":
        phone.calls[0].xferReplaces(phone.calls[-1], pj.CallOpParam(True))
    elif command == "hold":
        phone.calls[-1].setHold(pj.CallOpParam(True))
    elif command == "resume":
        parameters = pj.CallOpParam(True)
        parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
        phone.calls[-1].reinvite(parameters)
    elif command == "press":
        phone.calls[-1].dialDtmf(target)
    elif command == "hangup" and phone.calls:
        phone.calls[-1].hangup(pj.CallOpParam())
    return command != "quit"


def pump(library, seconds):
    for _ in range(int(seconds / 0.02)):
        library.libHandleEvents(20)


def main():
    settings = json.loads(sys.argv[1])
    library = endpoint(settings)
    phone = Phone(settings)
    going, typed = True, b""
    while going:
        library.libHandleEvents(20)
        if not select.select([0], [], [], 0)[0]:
            continue
        data = os.read(0, 65536)
        *lines, typed = (typed + data).split(b"\n")
        going = bool(data) and all([obey(phone, line.decode().strip()) for line in lines])
    # Dropping the recorder writes its header.
    del phone.player, phone.recorder
    phone.setRegistration(False)
    pump(library, 0.5)
    os._exit(0)  # the library's own tear-down may crash under Python


main()
