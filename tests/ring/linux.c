/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.c - Linux as the world of a program: socket pairs, Unix sockets and loopback TCP,
 * and copies of descriptors that outlive the close, as in a fork's child.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/ring/ring.h"

enum { COPIES = 16, ACCEPTED = 64, HIGH = 300, WINDOW = 16384, CLOSE_SEEN_MS = 2000 };

/* What was closed here, and whose file another process would still hold. */
struct copy {
	int fd, peer_fd; /* -1 = none */
};

struct accepted {
	int fd;
	struct kolk_address from;
};

struct machine {
	int unix_listener, tcp_listener, full_listener; /* full: it takes one at a time */
	struct kolk_address unix_address, tcp_address, full_address;
	struct kolk_address dialled_address[LISTENERS]; /* of the program's listeners */
	struct accepted accepted[ACCEPTED];
	size_t accepted_count;
	struct copy copies[COPIES];
	uint8_t bytes[65536];
};

static struct machine *machine_of(struct program *p)
{
	return *program_memory(p);
}

static struct kolk_address name_of(int fd, bool peer)
{
	struct kolk_address name = { 0 };
	struct sockaddr *address = (struct sockaddr *)(void *)name.bytes;
	socklen_t size = sizeof name.bytes;

	(void)(peer ? getpeername(fd, address, &size) : getsockname(fd, address, &size));
	name.size = size;
	name.family = address->sa_family;
	return name;
}

static int listener(int family, int queue, struct kolk_address *address)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	sa_family_t unnamed = AF_UNIX; /* the kernel picks a name: unix(7), autobind */
	bool bound = family == AF_UNIX ?
			     bind(fd, (struct sockaddr *)&unnamed, sizeof unnamed) == 0 :
			     bind(fd, (struct sockaddr *)&here, sizeof here) == 0;

	if (!bound || listen(fd, queue) != 0)
		return -1;
	*address = name_of(fd, false);
	return fd;
}

static bool open_machine(struct program *p)
{
	struct machine *m = *program_memory(p) = calloc(1, sizeof *m);

	*program_sys(p) = kolk_sys_linux();
	if (m == NULL)
		return false;
	for (int i = 0; i < COPIES; i++)
		m->copies[i] = (struct copy){ -1, -1 };
	m->unix_listener = listener(AF_UNIX, 64, &m->unix_address);
	m->full_listener = listener(AF_UNIX, 0, &m->full_address);
	m->tcp_listener = listener(AF_INET, 64, &m->tcp_address);
	return m->full_listener >= 0 && m->unix_listener >= 0 && m->tcp_listener >= 0;
}

/* Out of the way of the numbers that connections get: those come back at once. */
static int high(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, HIGH);

	if (moved < 0)
		return fd;
	close(fd);
	return moved;
}

static int pair(struct conn *conn)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) != 0)
		return -errno;
	conn->peer_fd = high(fd[1]);
	conn->ready = true;
	return fd[0];
}

static int open_socket(struct program *p, struct conn *conn)
{
	const struct kolk_sock_options options = { .keepalive_ns = KOLK_FOREVER,
						   .unacked_ns = KOLK_FOREVER };
	const struct kolk_sys *sys = *program_sys(p);
	struct machine *m = machine_of(p);
	uint64_t kind = program_below(p, 8);
	sa_family_t unnamed = AF_UNIX;
	int fd;

	if (kind > 3)
		return pair(conn);
	conn->address = kind == 0 ? m->tcp_address : kind == 1 ? m->full_address : m->unix_address;
	fd = sys->sock_open(sys->context, conn->address.family, &options);
	if (fd >= 0 && kind != 0 && bind(fd, (struct sockaddr *)&unnamed, sizeof unnamed) != 0)
		return -errno;
	return fd;
}

static int accept_conn(struct machine *m, size_t index)
{
	int fd = m->accepted[index].fd;

	memmove(m->accepted + index, m->accepted + index + 1,
		(--m->accepted_count - index) * sizeof m->accepted[0]);
	return fd;
}

static void accept_all(struct machine *m, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		if (m->accepted_count == ACCEPTED) /* the oldest was dropped */
			close(accept_conn(m, 0));
		fd = high(fd);
		m->accepted[m->accepted_count++] =
			(struct accepted){ fd, name_of(fd, true) };
	}
}

/* The peer of this one: the newest that came from its address. */
static void find_peer(struct program *p, struct conn *conn)
{
	struct machine *m = machine_of(p);
	struct kolk_address name;

	if (conn->peer_fd >= 0)
		return;
	accept_all(m, m->unix_listener);
	accept_all(m, m->full_listener);
	accept_all(m, m->tcp_listener);
	name = name_of(conn->fd, false);
	for (size_t i = m->accepted_count; i-- > 0;) {
		if (m->accepted[i].from.size != name.size ||
		    memcmp(m->accepted[i].from.bytes, name.bytes, name.size) != 0)
			continue;
		conn->peer_fd = accept_conn(m, i);
		return;
	}
	program_finding(p, "connected, and the listener does not know it");
}

/* ---- peers that dial */

static int listen_at(struct program *p, int index)
{
	const struct kolk_sys *sys = *program_sys(p);
	struct machine *m = machine_of(p);
	struct kolk_address any = index == 0 ? m->tcp_address : m->unix_address;
	struct kolk_sock_listen how = { .address = &any, .backlog = 64, .mode = 0600,
					.keepalive_ns = KOLK_FOREVER };
	int fd;

	if (index == 0)
		memset(any.bytes + 2, 0, 2); /* any port */
	else
		any.size = sizeof(sa_family_t); /* any name */
	fd = sys->sock_listen(sys->context, &how);
	if (fd >= 0)
		m->dialled_address[index] = name_of(fd, false);
	return fd;
}

static bool dial(struct program *p, struct conn *conn, int index)
{
	struct machine *m = machine_of(p);
	struct kolk_address *to = &m->dialled_address[index];
	int fd = socket((int)to->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa_family_t unnamed = AF_UNIX;

	conn->address = *to;
	fcntl(fd, F_SETFL, to->family == AF_UNIX ? O_NONBLOCK : 0);
	if (fd >= 0 && (to->family != AF_UNIX ||
			bind(fd, (struct sockaddr *)&unnamed, sizeof unnamed) == 0) &&
	    connect(fd, (struct sockaddr *)(void *)to->bytes, to->size) == 0) {
		conn->peer_fd = high(fd);
		fcntl(conn->peer_fd, F_SETFL, O_NONBLOCK);
		return true;
	}
	close(fd); /* the queue is full */
	return false;
}

static bool is_from(struct program *p, const struct conn *conn, int fd,
		    const struct kolk_address *address)
{
	struct kolk_address name = name_of(conn->peer_fd, false);

	(void)p;
	return name.size == address->size && memcmp(name.bytes, address->bytes, name.size) == 0 &&
	       (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

static void give_up(struct program *p, struct conn *conn)
{
	(void)p;
	close(conn->peer_fd);
}

static uint32_t unlisten(struct program *p, int index)
{
	const struct kolk_sys *sys = *program_sys(p);
	uint32_t queued = 0;
	int fd;

	while ((fd = accept4(program_listener(p, index), NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		close(fd);
		queued++;
	}
	sys->sock_unlisten(sys->context, program_listener(p, index));
	return queued;
}

/* A TCP window that was full opens after 200 ms (a probe): most connections stay below. */
static bool may_fill(const struct conn *conn)
{
	return conn->address.family != AF_INET || conn->number % 32 == 0;
}

static size_t say(struct program *p, struct conn *conn, uint8_t *bytes, size_t size)
{
	ssize_t sent;

	if (!may_fill(conn) && size > WINDOW - (conn->said - conn->received))
		size = WINDOW - (conn->said - conn->received);
	sent = send(conn->peer_fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)p;
	return sent > 0 ? (size_t)sent : 0;
}

static void receive_bytes(struct program *p, struct conn *conn, size_t size)
{
	struct machine *m = machine_of(p);
	ssize_t got = 1;

	while (size > 0 && got > 0 && conn->peer_fd >= 0) {
		got = recv(conn->peer_fd, m->bytes, size < sizeof m->bytes ? size : sizeof m->bytes,
			   MSG_DONTWAIT);
		if (got > 0) {
			program_received(p, conn, m->bytes, (size_t)got);
			size -= (size_t)got;
		}
	}
}

static void peer_close(int *peer_fd, bool reset)
{
	struct linger now = { .l_onoff = 1 };

	if (*peer_fd < 0)
		return;
	if (reset)
		(void)setsockopt(*peer_fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(*peer_fd);
	*peer_fd = -1;
}

static void end(struct program *p, struct conn *conn, bool reset)
{
	(void)p;
	if (reset)
		peer_close(&conn->peer_fd, true);
	else
		shutdown(conn->peer_fd, SHUT_WR);
}

/* The peer must see the close although a copy lives. */
static void must_see_end(struct program *p, int peer_fd)
{
	struct machine *m = machine_of(p);
	struct pollfd poll_fd = { .fd = peer_fd, .events = POLLIN };
	ssize_t got;

	do {
		got = recv(peer_fd, m->bytes, sizeof m->bytes, MSG_DONTWAIT);
	} while (got > 0 || (got < 0 && errno == EAGAIN && poll(&poll_fd, 1, CLOSE_SEEN_MS) > 0));
	if (got < 0 && errno == EAGAIN)
		program_finding(p, "a peer does not see the close while a copy lives");
}

static void copy_close(struct copy *copy)
{
	if (copy->fd >= 0)
		close(copy->fd);
	copy->fd = -1;
	peer_close(&copy->peer_fd, false);
}

static void leave(struct program *p, struct conn *conn)
{
	const struct kolk_sys *sys = *program_sys(p);
	struct copy *copy = &machine_of(p)->copies[program_below(p, COPIES)];
	bool copied = conn->peer_fd >= 0 && program_below(p, 3) == 0;

	if (copied) {
		copy_close(copy);
		*copy = (struct copy){ fcntl(conn->fd, F_DUPFD_CLOEXEC, HIGH), conn->peer_fd };
	}
	sys->sock_close(sys->context, conn->fd);
	if (copied)
		must_see_end(p, conn->peer_fd);
	else
		peer_close(&conn->peer_fd, false);
}

/* Something happens to a file whose number another may have by now. */
static void stray(struct program *p)
{
	struct copy *copy = &machine_of(p)->copies[program_below(p, COPIES)];

	switch (program_below(p, 4)) {
	case 0:
		copy_close(copy);
		break;
	case 1:
		peer_close(&copy->peer_fd, true);
		break;
	default:
		if (copy->peer_fd >= 0 && send(copy->peer_fd, "stray", 5, MSG_NOSIGNAL) < 0)
			peer_close(&copy->peer_fd, false);
	}
}

static void advance_time(struct program *p)
{
	(void)p; /* by itself */
}

static void *close_there(void *ring)
{
	kolk_sys_linux()->ring_close(ring);
	return NULL;
}

/* The thread that stepped it is here and lives. */
static void close_ring(struct program *p, struct kolk_ring *ring)
{
	pthread_t thread;

	if (program_below(p, 2) == 0 || pthread_create(&thread, NULL, close_there, ring) != 0)
		(void)close_there(ring);
	else
		pthread_join(thread, NULL);
}

static void close_machine(struct program *p)
{
	struct machine *m = machine_of(p);

	for (int i = 0; i < COPIES; i++)
		copy_close(&m->copies[i]);
	while (m->accepted_count > 0)
		close(accept_conn(m, 0));
	close(m->unix_listener);
	close(m->full_listener);
	close(m->tcp_listener);
	free(m);
}

const struct world world_linux = {
	.open = open_machine,
	.close = close_machine,
	.socket = open_socket,
	.connected = find_peer,
	.listen = listen_at,
	.dial = dial,
	.is_from = is_from,
	.give_up = give_up,
	.unlisten = unlisten,
	.say = say,
	.receive_bytes = receive_bytes,
	.end = end,
	.leave = leave,
	.stray = stray,
	.advance_time = advance_time,
	.close_ring = close_ring,
};
