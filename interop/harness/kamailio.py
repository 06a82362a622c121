"""Kamailio, with settings of whoever starts it."""

from .failure import check, until
from .wire import options

# What all of them begin with.
HEAD = """\
#!KAMAILIO
debug=1
log_stderror=yes
children=2
auto_aliases=no
dns=no
rev_dns=no
listen=udp:{host}:{port}
tcp_children=2
listen=tcp:{host}:{port}

loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"

modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_contacts", 1)
modparam("rr", "append_fromtag", 0)
"""


class Kamailio:
    """Looks like an exchange to phones and loads, on one port for every transport."""

    def __init__(self, lab, settings, domain, host, **values):
        self.lab, self.domain, self.host, self.port = lab, domain, host, lab.port()
        self.settings = lab.folder / "kamailio.cfg"
        self.settings.write_text((HEAD + settings).format(host=host, port=self.port, domain=domain, **values))

    @property
    def server(self):
        return self.host, self.port

    def port_for(self, transport):
        return self.port

    def start(self):
        words = ["-f", self.settings, "-DD", "-E", "-m", "32", "-M", "4", "-w", self.lab.folder, "-Y", self.lab.folder]
        process = self.lab.run("kamailio", [self.lab.tool("kamailio"), *words])
        until(lambda: process.ended() is not None or options(self.server, f"sip:{self.domain}", seconds=0.3) == 200,
              20, "Kamailio answers OPTIONS")
        check(process.ended() is None, f"Kamailio ended with {process.ended()}: {process.said()[-800:]}")
        return self
