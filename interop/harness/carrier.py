"""A provider of telephone lines: Kamailio, which registers its customers by digest and asks for credentials of each call, but for
customers whom it knows by their address."""

import re

from .exchange import Account
from .failure import check, until
from .kamailio import Kamailio
from .wire import ask_with_credentials

PASSWORD = "Line-Secret-7"
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
	if ($si == "{customer}") {{
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
            rows += f'\tif ($rU == "{number}") {{\n\t\t$ru = "sip:{number}@{address}:{port}";\n\t\tt_relay();\n\t\texit;\n\t}}\n'
        super().__init__(lab, SETTINGS, domain, host, password=PASSWORD, numbers=rows, customer=address,
                         shown=number.removeprefix("+"))

    def account(self, user):
        return Account(user, PASSWORD, domain=self.domain)

    def bindings(self, account):
        """The contacts that are registered for an account."""
        answer = ask_with_credentials(self.server, account, "REGISTER", f"sip:{self.domain}", to=account.address)
        check(answer.status in (200, 404), f"asking for the bindings of {account.user}: {answer.start}")
        return re.findall(r"<(sip:[^>]+)>", " ".join(answer.all("Contact") + answer.all("m")))

    def wait_registered(self, account):
        until(lambda: self.bindings(account), 15, f"{account.user} is registered at the carrier")
