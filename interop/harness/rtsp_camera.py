"""An RTSP server of GStreamer that plays a camera: `rtsp_camera.py PORT HZ CODING SOUND`. Runs in the system's Python, which has
the bindings. A password is asked for: door, Secret-7."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

port, hz, coding, sound = sys.argv[1:5]
Gst.init(None)
SOUND = {
    "pcma": "alawenc ! rtppcmapay name=pay1 pt=8",
    "pcmu": "mulawenc ! rtppcmupay name=pay1 pt=0",
    "l16": "audioconvert ! rtpL16pay name=pay1 pt=97",
}[sound]
VIDEO = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 bitrate=400 ! rtph264pay name=pay0 pt=96",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=30 bitrate=400 ! rtph265pay name=pay0 pt=96",
}[coding]
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=15/1 ! {VIDEO} "
    f"audiotestsrc is-live=true freq={hz} volume=0.5 ! audio/x-raw,rate=8000,channels=1 ! {SOUND} )")
factory.set_shared(True)

auth, role = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
role.set_string("media.factory.role", "viewer")
auth.add_digest("door", "Secret-7", role)
auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
factory.add_role_from_structure(Gst.Structure.new_from_string(
    "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"))

server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
server.set_auth(auth)
server.get_mount_points().add_factory("/live", factory)

def connected(_server, client):
    print("connected ", flush=True)
    client.connect("closed", lambda _client: print("closed", flush=True))


server.connect("client-connected", connected)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
