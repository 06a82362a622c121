"""A provider of telephone lines: Kamailio, which registers its customers by digest and asks for credentials of each call, but for
customers whom it knows by their address."""

import re

from .exchange import Account
from .failure import check, until
from .kamailio import Kamailio
from .wire import ask_with_credentials

PASSWORD = "Line-Secret-7"
TO_CUSTOMER = """\
	if ($rU == "{number}") {{
		{change}
		t_relay();
		exit;
	}}
"""
TLS = """
enable_tls=yes
loadmodule "tls.so"
listen=tls:{host}:{tls}
modparam("tls", "config", "{folder}/tls.cfg")
"""
TLS_SIDE = """\
[{side}:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
certificate = {folder}/carrier.pem
private_key = {folder}/carrier.key
ca_list = {folder}/ca.pem
"""
SETTINGS = """
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
	if ({customer}) {{
		# It may show its own number and no other.
		if (!($ai =~ "^sip:.{shown}@")) {{
			sl_send_reply("403", "Not your number");
			exit;
		}}
	}} else {{
		if (!pv_proxy_authenticate("{domain}", "{password}", "0")) {{
			proxy_challenge("{domain}", "1");
			exit;
		}}
		consume_credentials();
	}}
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


class Carrier(Kamailio):
    """`numbers` are those of its customers: number to user. `customer` is known by its address: that, its port, its number."""

    def __init__(self, lab, numbers, domain="carrier.test", host="127.0.0.2", customer=None):
        rows = "".join(f'\tif ($rU == "{number}") $rU = "{user}";\n' for number, user in numbers.items())
        address, port, number = customer or ("nobody", 0, "+0")
        if customer:
            rows += TO_CUSTOMER.format(number=number, change=self.way(number, address, port))
        super().__init__(lab, self.settings_before() + SETTINGS, domain, host, password=PASSWORD, numbers=rows,
                         customer=self.knows(address), shown=number.removeprefix("+"))

    def settings_before(self):
        return ""

    def knows(self, address):
        """How it knows its customer."""
        return f'$si == "{address}"'

    def way(self, number, address, port):
        """What it does to a call for its customer."""
        return f'$ru = "sip:{number}@{address}:{port}";'

    def account(self, user):
        return Account(user, PASSWORD, domain=self.domain)

    def bindings(self, account):
        """The contacts that are registered for an account."""
        answer = ask_with_credentials(self.server, account, "REGISTER", f"sip:{self.domain}", to=account.address)
        check(answer.status in (200, 404), f"asking for the bindings of {account.user}: {answer.start}")
        return re.findall(r"<(sip:[^>]+)>", " ".join(answer.all("Contact") + answer.all("m")))

    def wait_registered(self, account):
        until(lambda: self.bindings(account), 15, f"{account.user} is registered at the carrier")


class CertifiedCarrier(Carrier):
    """Knows its customer by a certificate, and shows its own: those of `folder`."""

    def __init__(self, lab, numbers, folder, customer, **more):
        self.folder, self.tls_port = folder, lab.port()
        (folder / "tls.cfg").write_text("".join(TLS_SIDE.format(side=side, folder=folder) for side in ("server", "client")))
        super().__init__(lab, numbers, customer=customer, **more)

    def settings_before(self):
        return TLS.replace("{tls}", str(self.tls_port)).replace("{folder}", str(self.folder))

    def knows(self, address):
        return "is_peer_verified()"

    def way(self, number, address, port):
        # As many carriers do, it leaves its own domain in the Request-URI.
        return f'$du = "sip:{address}:{port};transport=tls";'
