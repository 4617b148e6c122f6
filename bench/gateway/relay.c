/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c - relay epoll|io_uring PORT UPSTREAM_PORT: both on the loopback. */
#define _GNU_SOURCE
#include "bench/gateway/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

_Noreturn void relay_die(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

void relay_nodelay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

int relay_dial(uint16_t port)
{
	struct sockaddr_in to = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	relay_nodelay(fd);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	close(fd);
	return -1;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in at = loopback(port);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0)
		relay_die("cannot listen");
	return fd;
}

static uint16_t port_of(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	return *end == 0 && port > 0 && port < 65536 ? (uint16_t)port : 0;
}

int main(int argc, char **argv)
{
	struct rlimit files;

	if (argc != 4 || port_of(argv[2]) == 0 || port_of(argv[3]) == 0) {
		fprintf(stderr, "usage: relay epoll|io_uring PORT UPSTREAM_PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max; /* two for each client */
	setrlimit(RLIMIT_NOFILE, &files);
	if (strcmp(argv[1], "epoll") == 0)
		relay_epoll(listen_on(port_of(argv[2])), port_of(argv[3]));
	if (strcmp(argv[1], "io_uring") == 0)
		relay_uring(listen_on(port_of(argv[2])), port_of(argv[3]));
	fprintf(stderr, "relay: '%s' is neither epoll nor io_uring\n", argv[1]);
	return 2;
}
