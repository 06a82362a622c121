"""One pjsua2 endpoint, until SIGTERM. Settings as JSON in the first argument. Everything runs on this one thread, as the library asks."""

import json
import os
import signal
import sys
import time

import pjsua2 as pj

NAMES = {"pcmu": "PCMU/", "g722": "G722/"}


class Call(pj.Call):
    """Says the speech and writes down the other side."""

    def __init__(self, phone, number=pj.PJSUA_INVALID_ID):
        super().__init__(phone, number)
        self.phone = phone

    def onCallMediaState(self, _):
        info = self.getInfo()  # kept: the list of media lives inside it
        for index, media in enumerate(info.media):
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                audio = self.getAudioMedia(index)
                self.phone.player.startTransmit(audio)
                audio.startTransmit(self.phone.recorder)


class Phone(pj.Account):
    """An account without a server. Calls are kept: the library crashes when one is collected."""

    def __init__(self, settings):
        super().__init__()
        self.calls = []
        self.player, self.recorder = pj.AudioMediaPlayer(), pj.AudioMediaRecorder()
        self.player.createPlayer(settings["speech"], pj.PJMEDIA_FILE_NO_LOOP)
        self.recorder.createRecorder(settings["heard"])
        made = pj.AccountConfig()
        made.idUri = f"sip:phone@{settings['address']}"
        made.regConfig.registerOnAdd = False
        made.mediaConfig.transportConfig.boundAddress = settings["address"]
        made.mwiConfig.enabled = False
        self.create(made, True)

    def onIncomingCall(self, incoming):
        self.calls.append(Call(self, incoming.callId))
        parameters = pj.CallOpParam()
        parameters.statusCode = 200
        self.calls[-1].answer(parameters)

    def dial(self, target):
        self.calls.append(Call(self))
        self.calls[-1].makeCall(target, pj.CallOpParam(True))


def endpoint(settings):
    made = pj.Endpoint()
    made.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.level, config.logConfig.consoleLevel = 3, 3
    config.medConfig.clockRate = config.medConfig.sndClockRate = settings["rate"]
    config.medConfig.noVad, config.medConfig.ecTailLen = True, 0
    made.libInit(config)
    transport = pj.TransportConfig()
    transport.boundAddress, transport.port = settings["address"], settings["port"]
    made.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    made.libStart()
    made.audDevManager().setNullDev()
    for codec in made.codecEnum2():
        made.codecSetPriority(codec.codecId, 200 if codec.codecId.startswith(NAMES[settings["codec"]]) else 0)
    return made


def main():
    settings, going = json.loads(sys.argv[1]), [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    library = endpoint(settings)
    phone = Phone(settings)
    if settings["target"]:
        phone.dial(settings["target"])
    while going:
        library.libHandleEvents(20)
    for call in phone.calls:
        if call.isActive():
            call.hangup(pj.CallOpParam())
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        library.libHandleEvents(20)
    # Dropping the recorder writes its header.
    del phone.player, phone.recorder
    os._exit(0)  # the library's own tear-down may crash under Python


main()
