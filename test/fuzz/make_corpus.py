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

SEEDS = {
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
        # First and last port, which port_in_name (0 to 2), a pattern and a line feed or neither, the name.
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
