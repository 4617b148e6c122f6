/* SPDX-License-Identifier: Apache-2.0 */
/* sock_linux.c - sockets and names of this machine. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "transport/linux.h"
#include "transport/ring.h"

/* A number is reused for another socket: epoll.c compares these. Two numbers that share an entry
 * only cost a needless registration. */
static kolk__atomic_u32 generations[1 << 12];

uint32_t kolk__fd_generation(int fd)
{
	return kolk__load_acquire(&generations[(unsigned)fd % (1 << 12)]);
}

static void set(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof value); /* best effort */
}

static int whole(uint64_t ns, uint64_t unit_ns, uint64_t max)
{
	uint64_t units = ns / unit_ns;

	return units < 1 ? 1 : units > max ? (int)max : (int)units;
}

/* Unanswered probes that end a connection without a user time-out, 10 s apart. */
enum { PROBES = 9 };

/* Sockets that were made together would be probed together, in one tick of the kernel, whose queues
 * drop what is too much: each has its own time, from half of it to all of it. */
static int spread(int fd, int seconds)
{
	uint32_t choices = (uint32_t)seconds / 2 + 1, hash = (uint32_t)fd * 2654435761u;

	return seconds - (int)((uint64_t)hash * choices >> 32);
}

/* With TCP_USER_TIMEOUT the kernel counts no keep-alive probes: it ends a connection by which
 * nothing was received for that time when one is unanswered (tcp(7), tcp_keepalive_timer). A first
 * probe after that time would be the only one, and one lost packet the end of an idle connection.
 * So probes begin at half of it, and five are sent before it is over, if it is 8 s or more. */
void kolk__sock_tune(int fd, uint64_t keepalive_ns, uint64_t unacked_ns)
{
	bool counted = unacked_ns == KOLK_FOREVER;
	uint64_t idle_ns = counted || keepalive_ns < unacked_ns / 2 ? keepalive_ns : unacked_ns / 2;

	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!counted)
		set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, whole(unacked_ns, KOLK_MS_NS, INT32_MAX));
	if (keepalive_ns == KOLK_FOREVER)
		return;
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, spread(fd, whole(idle_ns, KOLK_S_NS, 32767)));
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, counted ? 10 : whole(unacked_ns / 8, KOLK_S_NS, 32767));
	if (counted)
		set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
}

/* What is accepted inherits all of this. A time of its own for each would be a system call for
 * each; some sixteen that come one after the other, and what is queued with them, share one. The
 * queues of the kernel hold a thousand, and of PROBES one is enough. The hash is another one than
 * spread's. */
void kolk__sock_vary(int listening, int accepted, uint32_t seconds)
{
	if (seconds > 1 && ((uint32_t)accepted * 2246822519u) >> 28 == 0)
		set(listening, IPPROTO_TCP, TCP_KEEPIDLE, spread(accepted, (int)seconds));
}

/* ip(7); since Linux 6.3 */
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

/* The port is chosen at connect, out of the range if there is one. */
static int bind_to(int fd, uint32_t family, const struct kolk_sock_options *o)
{
	uint32_t range = o->port_max << 16 | o->port_min;

	if (range != 0 &&
	    setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof range) != 0)
		return -errno; /* an older kernel: better no connection than from another port */
	if (o->bind == NULL || o->bind->family != family)
		return 0;
	set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	return bind(fd, (const struct sockaddr *)(const void *)o->bind->bytes, o->bind->size) == 0 ?
		       0 : -errno;
}

int kolk__linux_sock_open(void *context, uint32_t family, const struct kolk_sock_options *options)
{
	int fd = socket((int)family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	(void)context;
	if (fd < 0)
		return -errno;
	if (family == AF_UNIX)
		return fd;
	kolk__sock_tune(fd, options->keepalive_ns, options->unacked_ns);
	if (options->speaks_first) /* the handshake's last packet carries its first bytes */
		set(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
	err = bind_to(fd, family, options);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

int kolk__linux_sock_info(void *context, int fd, uint32_t *rtt_us, uint32_t *resent)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof info;

	(void)context;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
		return -errno;
	*rtt_us = info.tcpi_rtt;
	*resent = info.tcpi_total_retrans;
	return 0;
}

void kolk__linux_sock_acknowledge(void *context, int fd)
{
	(void)context;
	set(fd, IPPROTO_TCP, TCP_QUICKACK, 1);
}

int32_t kolk__sock_connect(const struct kolk_op *op)
{
	return connect(op->fd, op->data, (socklen_t)op->size) == 0 ? 0 : -errno;
}

/* Of IPv4 and IPv6 it is in the same place. */
static in_port_t port_of(const void *address)
{
	struct sockaddr_in in;

	memcpy(&in, address, sizeof in);
	return in.sin_port;
}
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
	       "ports are in one place");

/* Two ports mostly differ, and then the peer need not be asked for. */
static bool is_to_itself(int fd, const struct sockaddr *dialled)
{
	struct sockaddr_storage own = { 0 }, peer = { 0 };
	socklen_t own_size = sizeof own, peer_size = sizeof peer;

	return getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 &&
	       port_of(&own) == port_of(dialled) &&
	       getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0 &&
	       own_size == peer_size && memcmp(&own, &peer, own_size) == 0;
}

/* No listener is there, and the port is an ephemeral one: the dial may get that port itself, and
 * its SYN meets the socket that sent it (RFC 9293, section 3.5: simultaneous open). Close it with a
 * reset, so that the port is free at once for its owner. */
int32_t kolk__sock_connected(const struct kolk_op *op, int32_t result)
{
	const struct sockaddr *address = op->data;

	if (result != 0 || address->sa_family == AF_UNIX || !is_to_itself(op->fd, address))
		return result;
	(void)setsockopt(op->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 },
			 sizeof(struct linger));
	return -ECONNREFUSED;
}

int64_t kolk__linux_sock_send(void *context, int fd, const void *data, size_t size)
{
	ssize_t sent = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)context;
	return sent >= 0 ? sent : -errno;
}

int64_t kolk__linux_sock_recv(void *context, int fd, void *data, size_t size)
{
	ssize_t received = recv(fd, data, size, MSG_DONTWAIT);

	(void)context;
	return received >= 0 ? received : -errno;
}

int64_t kolk__linux_sock_peek(void *context, int fd)
{
	char byte;
	ssize_t waiting = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	(void)context;
	return waiting >= 0 ? waiting : -errno;
}

int kolk__linux_sock_wait(void *context, int fd, uint32_t events, uint64_t deadline_ns)
{
	struct pollfd poll_fd = { .fd = fd };
	struct timespec now, left, *timeout = NULL;
	uint64_t now_ns;
	int ready;

	(void)context;
	poll_fd.events = (short)((events & KOLK_SOCK_READABLE ? POLLIN : 0) |
				 (events & KOLK_SOCK_WRITABLE ? POLLOUT : 0));
	do {
		if (deadline_ns != KOLK_FOREVER) {
			clock_gettime(CLOCK_MONOTONIC, &now);
			now_ns = (uint64_t)now.tv_sec * KOLK_S_NS + (uint64_t)now.tv_nsec;
			now_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
			left.tv_sec = (time_t)(now_ns / KOLK_S_NS);
			left.tv_nsec = (long)(now_ns % KOLK_S_NS);
			timeout = &left;
		}
		ready = ppoll(&poll_fd, 1, timeout, NULL);
	} while (ready < 0 && errno == EINTR);
	return ready < 0 ? -errno : ready;
}

void kolk__linux_sock_shutdown(void *context, int fd)
{
	(void)context;
	shutdown(fd, SHUT_RDWR);
}

void kolk__linux_sock_unlisten(void *context, int fd)
{
	(void)context;
	kolk__add_acq_rel(&generations[(unsigned)fd % (1 << 12)], 1);
	close(fd);
}

void kolk__linux_sock_close(void *context, int fd)
{
	shutdown(fd, SHUT_RDWR); /* no socket: an error that means nothing */
	kolk__linux_sock_unlisten(context, fd);
}

/* A connect to nowhere drops the connection with a reset whatever its state is, and also when a
 * fork's child has the socket, too (tcp(7)). A Unix socket only ends. */
void kolk__linux_sock_reset(void *context, int fd)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	(void)connect(fd, &nowhere, sizeof nowhere);
	kolk__linux_sock_close(context, fd);
}

void kolk__linux_sock_end(void *context, int fd)
{
	(void)context;
	shutdown(fd, SHUT_WR);
}

int32_t kolk__sock_watched(const struct kolk_op *op, int32_t result)
{
	int error = 0;
	socklen_t size = sizeof error;

	if (result < 0 || !(result & POLLERR))
		return result < 0 ? result : 0;
	if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		return -errno;
	return -error;
}
