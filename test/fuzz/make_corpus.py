#!/usr/bin/env python3
"""Writes the seed inputs of the fuzzers into corpus/: test/fuzz/make_corpus.py"""

import struct
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
A, NS, CNAME, SOA, AAAA, SRV, OPT = 1, 2, 5, 6, 28, 33, 41
QUESTION = b"\xc0\x0c"  # a pointer to the name in the question


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def record(owner, rtype, data, ttl=30, rclass=1):
    return owner + struct.pack(">HHIH", rtype, rclass, ttl, len(data)) + data


def srv(owner, port, target):
    return record(owner, SRV, struct.pack(">HHH", 1, 1, port) + target)


def message(qtype, answers=(), authority=(), additional=(), flags=0x8180, qname="app.example"):
    counts = struct.pack(">HHHHHH", 0, flags, 1, len(answers), len(authority), len(additional))
    return counts + name(qname) + struct.pack(">HH", qtype, 1) + b"".join([*answers, *authority, *additional])


SOA_RECORD = record(name("example"), SOA, name("ns.example") + name("admin.example") + struct.pack(">IIIII", 1, 2, 3, 4, 60))
OPT_RECORD = record(b"\0", OPT, b"", ttl=0, rclass=4096)



class Resolver:
    """Encodes events for a resolver in the format of resolver_world.cpp. Nameserver n has the n-th port."""

    A, AAAA, SRV, ADDRESSES = 1, 2, 0, 3
    UDP, TCP, TCP_FIRST = 1, 2, 3
    RECORDS, NXDOMAIN, NODATA, CODE, CUT, CUT_EMPTY, BARE, OTHER_ID, OTHER_NAME, ECHO, FORGED = 0, *range(5, 15)
    ROTATE, MIXED, EDNS, SEARCH, ORDER, SHORT_QUEUE, CACHE = 0x10, 0x20, 0x40, 0x80, 0x100, 0x800, 0x1000

    def __init__(self, *, tcp_manners=0, **client):
        self.octets = bytes([tcp_manners])
        self._client(**client)

    def _client(self, servers=(0,), transport=0, tries=2, flags=EDNS, inflight=4, timeout=100):
        bits = transport | tries - 1 << 2 | flags | inflight - 1 << 9
        self.octets += bytes([len(servers) - 1, *servers]) + struct.pack(">HB", bits, timeout)
        return self

    def _do(self, *octets):
        self.octets += bytes(octets)
        return self

    # No octet with the kind of event precedes the first lookup.
    def first(self, name=2, kind=SRV, client=0):
        return self._do(client, name | kind << 3)

    def ask(self, name=2, kind=SRV, client=0):
        return self._do(0, client, name | kind << 3)

    def answer(self, kind=RECORDS, *more, which=0):
        return self._do(12, which, kind, *more)

    def after(self, ms):
        return self._do(3, ms - 1) if ms <= 256 else self._do(4, ms // 50 - 1)

    def open(self, **client):
        return self._do(7)._client(**client)

    def leave(self, client=0, closes=True):
        return self._do(6, client, 0 if closes else 1)

    def cancel(self, lookup=0, gone=False):
        return self._do(8, lookup, 1 if gone else 0)

    def manners(self, server, tcp, how, more=0):
        return self._do(9, server | how << 4 | (0x80 if tcp else 0) | more)

    def end_connection(self, socket=0, reset=False):
        return self._do(5, socket | (0x80 if reset else 0))

    def garbage(self, octets, socket=0):
        return self._do(10, socket, len(octets), *octets)

    def stop(self):
        return self._do(11, 0xFF)


R = Resolver
RESOLVER_SEEDS = {
    "udp": R(transport=R.UDP).first().answer(R.RECORDS, 0x12),
    "tcp": R(transport=R.TCP).first().answer(R.RECORDS, 0x1B),
    "tcp_first": R().first().answer(R.RECORDS, 0x1F),
    "silence": R(transport=R.UDP, servers=(0, 1, 2), tries=3).first(),
    "late": R(transport=R.UDP, servers=(0, 1)).first().after(600).answer(R.RECORDS, 1, which=1),
    "tcp_refused": R(tcp_manners=0x15).first().answer(R.RECORDS, 1),
    "tcp_hangs": R(tcp_manners=0x2A).first().after(1500).answer(R.RECORDS, 1).after(2000).manners(0, True, 0, 0x40),
    "tcp_fails": R(tcp_manners=0x3F).first().after(300).answer(R.RECORDS, 1),
    "cut_off": R(transport=R.TCP).first().end_connection().answer(R.RECORDS, 1),
    "reset": R(transport=R.TCP).first().ask(name=0).end_connection(reset=True).answer(R.RECORDS, 1).answer(R.RECORDS, 1),
    "cut": R(transport=R.UDP).first().answer(R.CUT, 2).answer(R.RECORDS, 3),
    "cut_and_no_tcp": R(transport=R.UDP, tcp_manners=0x15).first().answer(R.CUT, 2),
    "cut_empty": R(transport=R.UDP).first().answer(R.CUT_EMPTY).answer(R.RECORDS, 3),
    "no_edns": R(transport=R.UDP).first().answer(R.CODE, 2).answer(R.RECORDS, 1),
    "bare_formerr": R(transport=R.UDP).first().answer(R.BARE, 0).answer(R.RECORDS, 1),
    "servfail_then_other": R(transport=R.UDP, servers=(0, 1)).first().answer(R.CODE, 0).answer(R.RECORDS, 1),
    "all_refuse": R(transport=R.UDP, servers=(0, 1), tries=1).first().answer(R.CODE, 1).answer(R.CODE, 3),
    "nxdomain": R(transport=R.UDP).first().answer(R.NXDOMAIN, 60),
    "nodata": R(transport=R.UDP).first().answer(R.NODATA, 1),
    "search": R(transport=R.UDP, flags=R.SEARCH).first(name=0).answer(R.NXDOMAIN, 9).answer(R.NODATA, 9).answer(R.RECORDS, 1),
    "search_none": R(transport=R.UDP, flags=R.SEARCH).first(name=1).answer(R.NXDOMAIN, 9).answer(R.CODE, 0).answer(R.NODATA, 9),
    "addresses": R(flags=R.SEARCH).first(name=0, kind=R.ADDRESSES).answer(R.RECORDS, 1).answer(R.NODATA, 1, which=1),
    "one_family": R().first(kind=R.ADDRESSES).answer(R.RECORDS, 1).after(256),
    "alias": R(transport=R.UDP).first(kind=R.AAAA).answer(R.RECORDS, 0x27),
    "other_id": R(transport=R.UDP).first(kind=R.A).answer(R.OTHER_ID, 1).answer(R.RECORDS, 1),
    "other_name": R(transport=R.UDP).first(kind=R.A).answer(R.OTHER_NAME, 1).answer(R.RECORDS, 1),
    "echo": R(transport=R.UDP).first(kind=R.A).answer(R.ECHO, 1).answer(R.RECORDS, 1),
    "forged": R(transport=R.UDP).first().answer(R.FORGED, 1, 2, 0, 40, 0x55, 0, 9, 0xFF),
    "mixed_case": R(transport=R.UDP, flags=R.MIXED).first(name=4).answer(R.RECORDS, 1),
    "twice": R(transport=R.UDP).first().answer(R.RECORDS, 1).answer(R.RECORDS, 2),
    "joined": R(transport=R.UDP).first().ask().ask(name=4).ask(name=3).answer(R.RECORDS, 0x18),
    "cached": R(transport=R.UDP, flags=R.CACHE).first().answer(R.RECORDS, 0xF1).ask().after(1000).ask().after(12800).ask(),
    "cached_none": R(transport=R.UDP, flags=R.CACHE).first().answer(R.NXDOMAIN, 200).ask().after(5000).ask(),
    "queue": R(transport=R.UDP, flags=R.SHORT_QUEUE, inflight=1).first(0).ask(1).ask(2).ask(5).ask(0, R.A).answer(R.RECORDS, 1),
    "closed": R().first().ask(0).leave().ask(1),
    "released": R().first().leave(closes=False).answer(R.RECORDS, 1),
    "cancelled": R(transport=R.UDP, inflight=1).first().ask(0).cancel().after(1000).answer(R.RECORDS, 1).cancel(1, gone=True),
    "two_clients": R(transport=R.UDP).first().open(transport=R.TCP, servers=(1, 0)).ask(client=1).leave(0).answer(R.RECORDS, 1),
    "no_descriptors": R(transport=R.UDP).first().manners(0, False, 0, 0x0C).ask(0).after(600).manners(0, False, 0).after(300),
    "udp_refused": R(transport=R.UDP, servers=(0, 1)).first().manners(0, False, 1).end_connection(reset=True).ask(0).after(300),
    "garbage": R(transport=R.TCP).first().garbage(b"\0\0\0\x01x\0\x0c" + bytes(12)).answer(R.RECORDS, 1),
    "stopped": R().first().ask(0).ask(1, R.ADDRESSES).stop(),
    "rotate": R(transport=R.UDP, servers=(0, 1, 2), flags=R.ROTATE | R.ORDER).first().ask(0).ask(1).answer(R.RECORDS, 3),
}


def rule(text, patterns=(), default=4370, ports=(1024, 65535), helpers=(61000, 65535), digits=0):
    head = struct.pack(">HHHHHBB", default, *ports, *helpers, digits, len(patterns))
    return head + "".join(pattern + "\n" for pattern in patterns).encode() + text.encode()


def lines(*texts):
    return "\n".join(texts).encode() + b"\n"


SEEDS = {
    "resolver_fuzz": {label: world.octets for label, world in RESOLVER_SEEDS.items()},
    "port_rule_fuzz": {
        "digits": rule("app-4834@host"),
        "zeros": rule("app-" + "0" * 40 + "4834@h"),
        "too_large": rule("app-65536@h"),
        "out_of_range": rule("app-4834@h", ports=(5000, 5001)),
        "dash": rule("app4370@h", digits=1),
        "dash_only": rule("-4370@h", digits=1),
        "none": rule("app-4834@h", digits=2),
        "no_host": rule("app-4834"),
        "no_name": rule("@4834"),
        "not_ascii": rule("n\u00f6de-4370@h"),
        "longest": rule("a" * 251 + "4370@h"),
        "too_long": rule("a" * 1017 + "4370"),
        "mix_remote": rule("rem-1f3a-app-4370@h"),
        "mix_decimal": rule("rpc-1-a@h"),
        "not_mix": rule("rpc-2024-4370@h"),
        "relx_maint": rule("maint5f3e-app-4370@h"),
        "relx_remsh": rule("remshF-a@h"),
        "relx_longname": rule("longname0-a1@h"),
        "nodetool": rule("app_maint_123@h"),
        "ejabberdctl": rule("abc-ctl-ejabberd-5601@h"),
        "ejabberd_ping": rule("abc-ping@h"),
        "rabbitmq_cli": rule("rabbitmqcli-18-rabbit-15671@h"),
        "rabbitmq_prelaunch": rule("rabbit_prelaunch_16597@h"),
        "peer": rule("peer-12-4370@h"),
        "common_test": rule("pg_SUITE-two-1-4370@h"),
        "suite_alone": rule("pg_SUITE-1-2@h"),
        "pattern": rule("foo-12-x@h", ["foo-{number}-*"]),
        "patterns": rule("x1y@h", ["no", "x{number}*"]),
        "stars": rule("axb12-@h", ["*a*b{number}*-*"], helpers=(61000, 61002)),
        "own_port": rule("peer-1-61001@h", default=61000, helpers=(61000, 61002)),
        "bad_pattern": rule("foo1@h", ["foo{number}1"]),
    },
    "hosts_file_fuzz": {
        "usual": lines("127.0.0.1 localhost", "::1\tlocalhost ip6-localhost", "10.0.0.1 n1.example n1"),
        "comments": lines("# 10.0.0.9 whole", "10.0.0.1 n1 # n2", "10.0.0.3 n3#n4"),
        "twice": lines("10.0.0.1 n1", "10.0.0.2 N1", "10.0.0.1 n1 n1"),
        "dots": lines("10.0.0.1 n1. n2.. ."),
        "blanks": lines("  10.0.0.1\v\fn1\r", "", "10.0.0.2"),
        "no_address": lines("n1 10.0.0.1", "10.0.0 n1", "1::2::3 n2", "fe80::1%lo n3"),
        "no_line_feed": b"10.0.0.1 n1",
        "long_name": lines("10.0.0.1 " + "a" * 253 + " " + "b" * 254),
        "octets": b"10.0.0.1 n\xff\0m\n\0\n::ffff:10.0.0.1 M",
    },
    "resolv_conf_fuzz": {
        "usual": lines("app", "", "", "nameserver 10.0.0.1", "search a.example b.example", "options ndots:5 rotate"),
        "scope": lines("app", "", "", "nameserver fe80::1%eth0", "nameserver 10.0.0.1"),
        "bracket_in_scope": lines("app", "", "", "nameserver fe81::1%]th0", "nameserver [fe81::1%eth0]:54"),
        "domain_then_search": lines("a.b", "", "", "domain a.example", "search b.example c", "search"),
        "root": lines("a", "", "", "search . a.example"),
        "environment": lines("a.b", "x.example y", "ndots:0 usevc", "search a", "options ndots:9"),
        "ndots": lines("a.b.c", "", "ndots:99999999999999999999", "options ndots:16 ndots:x ndots:3x use-vc"),
        "not_names": lines("a", "", "", "search -a a..b \u00e9 " + "x" * 64 + " " + "y." * 127),
        "long": lines("n" * 63 + ".m", "", "", "search " + ".".join(["d" * 49] * 4) + " e"),
        "keywords": lines("a", "", "", " search a", "SEARCH b", "search\tc\r", "nameserver", "options"),
        "name_is_domain": lines("a.a", "", "", "search a.a . a.a"),
    },
    "dns_message_fuzz": {
        "srv_with_glue": message(
            SRV,
            [srv(QUESTION, 4370, b"\x02n1\xc0\x10"), srv(QUESTION, 4371, name("n2.example"))],
            additional=[
                record(name("n1.example"), A, bytes([10, 0, 0, 1])),
                record(name("n2.example"), AAAA, bytes(15) + b"\x01"),
                OPT_RECORD,
            ],
        ),
        "a": message(A, [record(QUESTION, A, bytes([10, 0, 0, i])) for i in range(3)]),
        "aaaa": message(AAAA, [record(QUESTION, AAAA, bytes(range(16)))]),
        "aliases": message(
            SRV,
            [
                srv(name("c.example"), 1, name("n1.example")),
                record(name("b.example"), CNAME, name("c.example")),
                record(QUESTION, CNAME, name("b.example")),
            ],
        ),
        "alias_loop": message(SRV, [record(QUESTION, CNAME, QUESTION)]),
        "nxdomain": message(SRV, authority=[SOA_RECORD], flags=0x8183),
        "nodata": message(SRV, authority=[SOA_RECORD]),
        "referral": message(SRV, authority=[record(name("example"), NS, name("ns.example"))]),
        "servfail": message(SRV, flags=0x8182),
        "truncated": message(SRV, [srv(QUESTION, 1, name("n1.example"))], flags=0x8380)[:-3],
        "no_service": message(SRV, [srv(QUESTION, 0, b"\0")]),
        "odd_octets": message(SRV, [srv(QUESTION, 1, b"\x04a.\\\x00\x02\xff@\x00")]),
    },
    "node_name_fuzz": {
        # First and last port, port_in_name (0 to 2), optionally a pattern and a line feed, and the name.
        label: struct.pack(">HHB", first, last, port_in_name) + text.encode()
        for label, first, last, port_in_name, text in [
            ("port", 1024, 65535, 3, "app-4834@host"),
            ("default", 1024, 65535, 3, "app@host"),
            ("ordinal", 1024, 65535, 3, "app-0@pod"),
            ("any_port", 1, 65535, 0, "worker2@h"),
            ("zeros", 1024, 65535, 0, "app-" + "0" * 26 + "4834@h"),
            ("digits", 1024, 65535, 0, "9" * 30),
            ("mix", 1024, 65535, 0, "rem-1f3a-app-4370@h"),
            ("relx", 1024, 65535, 0, "maint5f3e-app-4370@h"),
            ("peer", 1024, 65535, 0, "peer-12-4370@h"),
            ("ejabberdctl", 1024, 65535, 0, "abc-ctl-ejabberd-5601@h"),
            ("rabbitmq", 1024, 65535, 0, "rabbitmqcli-18-rabbit-15671@h"),
            ("prelaunch", 1024, 65535, 0, "rabbit_prelaunch_16597@h"),
            ("common_test", 1024, 65535, 0, "pg_SUITE-two-1-4370@h"),
            ("pattern", 61000, 65535, 0, "foo-{number}-{number}\nfoo-12-4370@h"),
            ("stars", 61000, 61002, 0, "*a*b{number}*-*\naxb12-@h"),
            ("dash", 1024, 65535, 1, "app-7b77bc47b4-q2456@h"),
            ("none", 1024, 65535, 2, "app-4834@h"),
            ("made", 4370, 65535, 3, "appN1.Example.COM."),
            ("consul", 31337, 65535, 3, "app7f000001.addr.dc1.consul."),
        ]
    },
}

for fuzzer, seeds in SEEDS.items():
    directory = CORPUS / fuzzer
    directory.mkdir(parents=True, exist_ok=True)
    for label, content in seeds.items():
        (directory / label).write_bytes(content)
