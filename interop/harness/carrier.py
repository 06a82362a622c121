"""A provider of telephone lines: Kamailio, which registers its customers by digest and asks for credentials of each call."""

import re

from .exchange import Account
from .failure import check, until
from .wire import ask_with_credentials, options

PASSWORD = "Line-Secret-7"
SETTINGS = """\
#!KAMAILIO
debug=1
log_stderror=yes
children=2
auto_aliases=no
dns=no
rev_dns=no
listen=udp:{host}:{port}
tcp_children=1
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
		if (!save("location")) sl_reply_error();
		exit;
	}}
	if (is_method("OPTIONS") && $rU == $null) {{
		sl_send_reply("200", "OK");
		exit;
	}}
	if (has_totag()) {{
		if (loose_route()) {{
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
	if (!is_method("INVITE")) {{
		sl_send_reply("405", "Method Not Allowed");
		exit;
	}}
	if (!pv_proxy_authenticate("{domain}", "{password}", "0")) {{
		proxy_challenge("{domain}", "1");
		exit;
	}}
	consume_credentials();
	# Phones write us there as their proxy.
	remove_hf("Route");
	record_route();
	# Whose number it is.
{numbers}
	if (!lookup("location")) {{
		sl_send_reply("404", "Not Found");
		exit;
	}}
	t_relay();
}}
"""


class Carrier:
    """Looks like an exchange to a phone. `numbers` are those of its customers: number to user."""

    def __init__(self, lab, numbers, domain="carrier.test", host="127.0.0.2"):
        self.lab, self.domain, self.host, self.port = lab, domain, host, lab.port()
        self.server = (host, self.port)
        self.settings = lab.folder / "kamailio.cfg"
        rows = "".join(f'\tif ($rU == "{number}") $rU = "{user}";\n' for number, user in numbers.items())
        self.settings.write_text(SETTINGS.format(
            host=host, port=self.port, domain=domain, password=PASSWORD, numbers=rows))

    def port_for(self, transport):
        return self.port

    def account(self, user):
        return Account(user, PASSWORD, domain=self.domain)

    def start(self):
        words = ["-f", self.settings, "-DD", "-E", "-m", "32", "-M", "4", "-w", self.lab.folder,
                 "-Y", self.lab.folder]
        process = self.lab.run("kamailio", [self.lab.tool("kamailio"), *words])
        until(lambda: process.ended() is not None or options(self.server, f"sip:{self.domain}", seconds=0.3) == 200,
              20, "Kamailio answers OPTIONS")
        check(process.ended() is None, f"Kamailio ended with {process.ended()}: {process.said()[-800:]}")
        return self

    def bindings(self, account):
        """The contacts that are registered for an account."""
        answer = ask_with_credentials(self.server, account, "REGISTER", f"sip:{self.domain}", to=account.address)
        check(answer.status in (200, 404), f"asking for the bindings of {account.user}: {answer.start}")
        return re.findall(r"<(sip:[^>]+)>", " ".join(answer.all("Contact") + answer.all("m")))

    def wait_registered(self, account):
        until(lambda: self.bindings(account), 15, f"{account.user} is registered at the carrier")
