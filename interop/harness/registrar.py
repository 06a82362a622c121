"""A registrar and proxy that is not ours: Kamailio, which finds phones on connections by nathelper's aliases."""

from .kamailio import Kamailio

PASSWORD = "Load-Secret-7"
SETTINGS = """\
loadmodule "nathelper.so"
modparam("nathelper|registrar", "received_avp", "$avp(RECEIVED)")
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


class Registrar(Kamailio):
    """Every account of its domain exists and has the same password."""

    def __init__(self, lab, domain="registrar.test", host="127.0.0.2"):
        super().__init__(lab, SETTINGS, domain, host, password=PASSWORD)
