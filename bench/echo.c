/* SPDX-License-Identifier: Apache-2.0 */
/* echo.c - the peer of the I/O scenarios: sends back what comes, on the last CPU. */
#define _GNU_SOURCE
#include "bench/echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/kit.h"

struct echo {
	int listener, epoll, stop;
	uint16_t port;
	pthread_t thread;
};

void pin_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	(void)sched_setaffinity(0, sizeof set, &set); /* a hint: figures are only noisier */
}

static void nodelay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void watch(struct echo *echo, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	if (epoll_ctl(echo->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die("the echo peer is out of memory");
}

/* close alone leaves it in the set while a child between clone and exec has a copy of it. */
static void forget(struct echo *echo, int fd)
{
	epoll_ctl(echo->epoll, EPOLL_CTL_DEL, fd, NULL);
	close(fd);
}

static void accept_all(struct echo *echo)
{
	int fd;

	while ((fd = accept4(echo->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		nodelay(fd);
		watch(echo, fd, EPOLLIN);
	}
}

/* What does not fit into the socket's buffer is pushed: the other side reads. */
static void send_back(int fd, const char *bytes, ssize_t size)
{
	while (size > 0) {
		ssize_t sent = send(fd, bytes, (size_t)size, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			return;
		bytes += sent > 0 ? sent : 0;
		size -= sent > 0 ? sent : 0;
	}
}

static void *serve(void *arg)
{
	static char bytes[65536];
	struct epoll_event events[64];
	struct echo *echo = arg;

	pin_to_cpu((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
	for (;;) {
		int count = epoll_wait(echo->epoll, events, 64, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;
			ssize_t got;

			if (fd == echo->stop)
				return NULL;
			if (fd == echo->listener) {
				accept_all(echo);
				continue;
			}
			got = recv(fd, bytes, sizeof bytes, 0);
			if (got > 0)
				send_back(fd, bytes, got);
			else if (got == 0 || errno != EAGAIN)
				forget(echo, fd);
		}
	}
}

struct echo *echo_open(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	struct echo *echo = calloc(1, sizeof *echo);

	echo->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	echo->epoll = epoll_create1(EPOLL_CLOEXEC);
	echo->stop = eventfd(0, EFD_CLOEXEC);
	if (echo->listener < 0 || echo->epoll < 0 || echo->stop < 0 ||
	    bind(echo->listener, (struct sockaddr *)&address, size) != 0 ||
	    listen(echo->listener, 1024) != 0 ||
	    getsockname(echo->listener, (struct sockaddr *)&address, &size) != 0)
		die("cannot open an echo peer on loopback");
	echo->port = ntohs(address.sin_port);
	watch(echo, echo->listener, EPOLLIN);
	watch(echo, echo->stop, EPOLLIN);
	if (pthread_create(&echo->thread, NULL, serve, echo) != 0)
		die("cannot start the echo peer");
	return echo;
}

void echo_close(struct echo *echo)
{
	uint64_t one = 1;

	if (write(echo->stop, &one, sizeof one) != sizeof one)
		die("cannot stop the echo peer");
	pthread_join(echo->thread, NULL);
	close(echo->listener);
	close(echo->epoll);
	close(echo->stop);
	free(echo);
}

uint16_t echo_port(const struct echo *echo)
{
	return echo->port;
}

int dial_port(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		die("cannot connect to the peer");
	nodelay(fd);
	return fd;
}

void bench_origin_open(struct bench_origin *origin)
{
	const struct kit_cert_spec root = { .subject = "kolk bench authority", .authority = true };
	const struct kit_cert_spec leaf = { .subject = "127.0.0.1", .ip = "127.0.0.1" };
	int fd;

	*origin = (struct bench_origin){ .ca_path = "/tmp/kolk-bench-XXXXXX" };
	fd = mkstemp(origin->ca_path);
	if (fd < 0 || !kit_cert_make(&root, NULL, &origin->authority) ||
	    !kit_cert_make(&leaf, &origin->authority, &origin->server) ||
	    !kit_file_write(origin->ca_path, origin->authority.pem))
		die("cannot make certificates");
	close(fd);
	origin->origin = kit_origin_open(&(struct kit_origin_options){ .cert = &origin->server });
	if (origin->origin == NULL)
		die("cannot open a TLS peer on loopback");
}

/* A new thread inherits the nice value; only this thread gets its own back (it may not, when
 * it is not root: then it is measured as nice as its peer, and the ratio still holds). */
void bench_origin_open_nice(struct bench_origin *origin)
{
	id_t self = (id_t)syscall(SYS_gettid);
	int before = getpriority(PRIO_PROCESS, self);

	(void)setpriority(PRIO_PROCESS, self, 19);
	bench_origin_open(origin);
	(void)setpriority(PRIO_PROCESS, self, before);
}

void bench_origin_close(struct bench_origin *origin)
{
	kit_origin_close(origin->origin);
	unlink(origin->ca_path);
}
