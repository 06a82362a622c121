"""A registrar and proxy that is not ours: Kamailio, which finds phones on connections by nathelper's aliases."""

from .exchange import Account
from .failure import check, until
from .wire import options

PASSWORD = "Load-Secret-7"
SETTINGS = """\
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
loadmodule "nathelper.so"

modparam("usrloc", "db_mode", 0)
modparam("nathelper|registrar", "received_avp", "$avp(RECEIVED)")
modparam("registrar", "max_contacts", 1)
modparam("rr", "append_fromtag", 0)
modparam("auth", "nonce_count", 0)

request_route {{
	if (!mf_process_maxfwd_header("10")) {{
		sl_send_reply("483", "Too Many Hops");
		exit;
	}}
	if (is_method("REGISTER")) {{
		if (!pv_www_authenticate("{domain}", "{password}", "0")) {{
			www_challenge("{domain}", "1");
			exit;
		}}
		fix_nated_register();
		if (!save("location")) sl_reply_error();
		exit;
	}}
	if (is_method("OPTIONS") && $rU == $null) {{
		sl_send_reply("200", "OK");
		exit;
	}}
	if (has_totag()) {{
		if (loose_route()) {{
			handle_ruri_alias();
			t_relay();
			exit;
		}}
		if (is_method("ACK") && t_check_trans()) t_relay();
		exit;
	}}
	if (is_method("CANCEL")) {{
		if (t_check_trans()) t_relay();
		exit;
	}}
	if (!pv_proxy_authenticate("{domain}", "{password}", "0")) {{
		proxy_challenge("{domain}", "1");
		exit;
	}}
	consume_credentials();
	record_route();
	add_contact_alias();
	if (!lookup("location")) {{
		sl_send_reply("404", "Not Found");
		exit;
	}}
	t_on_reply("ANSWER");
	t_relay();
}}

onreply_route[ANSWER] {{
	add_contact_alias();
}}
"""


class Registrar:
    """Looks like an exchange to a load; every account of its domain exists and has the same password."""

    def __init__(self, lab, domain="registrar.test", host="127.0.0.2"):
        self.lab, self.domain, self.host, self.port = lab, domain, host, lab.port()
        self.settings = lab.folder / "kamailio.cfg"
        self.settings.write_text(SETTINGS.format(host=host, port=self.port, domain=domain, password=PASSWORD))

    def port_for(self, transport):
        return self.port

    def account(self, user):
        return Account(user, PASSWORD, domain=self.domain)

    def start(self):
        words = ["-f", self.settings, "-DD", "-E", "-m", "32", "-M", "4", "-w", self.lab.folder, "-Y", self.lab.folder]
        process = self.lab.run("kamailio", [self.lab.tool("kamailio"), *words])
        server = (self.host, self.port)
        until(lambda: process.ended() is not None or options(server, f"sip:{self.domain}", seconds=0.3) == 200,
              20, "Kamailio answers OPTIONS")
        check(process.ended() is None, f"Kamailio ended with {process.ended()}: {process.said()[-800:]}")
        return self
