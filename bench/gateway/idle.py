#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""idle.py PORT COUNT: clients that made one request each and stay; says "ready" and waits for its end."""
import resource
import socket
import sys

REQUEST = b"GET /small HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"


def answer_read(client):
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < size:
        body += client.recv(65536)


def main():
    port, count = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 64, max(count + 64, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    clients = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port), timeout=30)
        client.sendall(REQUEST % port)
        answer_read(client)
        clients.append(client)
    print("ready", flush=True)
    sys.stdin.read()


main()
