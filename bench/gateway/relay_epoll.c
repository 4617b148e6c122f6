/* SPDX-License-Identifier: Apache-2.0 */
/* relay_epoll.c - a read and a write for each piece. What the other end does not take at once is
 * kept, and nothing more is read until it is gone. */
#define _GNU_SOURCE
#include "bench/gateway/relay.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct end {
	int fd;
	uint32_t events;   /* that epoll watches */
	struct end *other;
	char *kept;        /* bytes on their way to this end; NULL = none */
	size_t kept_from, kept_to;
};

struct pair {
	struct end client, upstream;
	struct pair *next_dead;
};

static int epoll;
static struct pair *dead; /* freed when the round is over: events may still name them */

static void watch(struct end *end, int op, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = end };

	end->events = events;
	if (epoll_ctl(epoll, op, end->fd, &event) != 0)
		relay_die("epoll_ctl");
}

static struct pair *pair_of(struct end *end)
{
	/* The client is the first member; the upstream's other is the client. */
	return (struct pair *)(end < end->other ? end : end->other);
}

static void pair_close(struct pair *pair)
{
	if (pair->client.fd < 0)
		return;
	close(pair->client.fd);
	close(pair->upstream.fd);
	pair->client.fd = pair->upstream.fd = -1;
	pair->next_dead = dead;
	dead = pair;
}

static void bury(void)
{
	while (dead != NULL) {
		struct pair *pair = dead;

		dead = pair->next_dead;
		free(pair->client.kept);
		free(pair->upstream.kept);
		free(pair);
	}
}

static void accept_all(int listener, uint16_t upstream_port)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct pair *pair = calloc(1, sizeof *pair);
		int to = relay_dial(upstream_port);

		if (pair == NULL || to < 0)
			relay_die("no upstream connection");
		relay_nodelay(fd);
		pair->client = (struct end){ .fd = fd, .other = &pair->upstream };
		pair->upstream = (struct end){ .fd = to, .other = &pair->client };
		watch(&pair->client, EPOLL_CTL_ADD, EPOLLIN);
		watch(&pair->upstream, EPOLL_CTL_ADD, EPOLLIN);
	}
}

static void keep(struct end *to, const char *bytes, size_t size)
{
	to->kept = malloc(size);
	if (to->kept == NULL)
		relay_die("out of memory");
	memcpy(to->kept, bytes, size);
	to->kept_from = 0;
	to->kept_to = size;
	watch(to->other, EPOLL_CTL_MOD, to->other->events & ~(uint32_t)EPOLLIN);
	watch(to, EPOLL_CTL_MOD, to->events | EPOLLOUT);
}

/* false = the end is gone. */
static bool take(struct end *from)
{
	static char piece[RELAY_PIECE];
	ssize_t got = recv(from->fd, piece, sizeof piece, MSG_DONTWAIT), sent;

	if (got < 0)
		return errno == EAGAIN;
	if (got == 0)
		return false;
	sent = send(from->other->fd, piece, (size_t)got, MSG_DONTWAIT);
	if (sent < 0 && errno != EAGAIN)
		return false;
	if (sent < got)
		keep(from->other, piece + (sent > 0 ? sent : 0), (size_t)(got - (sent > 0 ? sent : 0)));
	return true;
}

static bool give(struct end *to)
{
	ssize_t sent = send(to->fd, to->kept + to->kept_from, to->kept_to - to->kept_from,
			    MSG_DONTWAIT);

	if (sent < 0)
		return errno == EAGAIN;
	to->kept_from += (size_t)sent;
	if (to->kept_from < to->kept_to)
		return true;
	free(to->kept);
	to->kept = NULL;
	watch(to, EPOLL_CTL_MOD, to->events & ~(uint32_t)EPOLLOUT);
	watch(to->other, EPOLL_CTL_MOD, to->other->events | EPOLLIN);
	return true;
}

static void serve(struct end *end, uint32_t events)
{
	bool ok = true;

	if (end->fd < 0)
		return;
	if (events & EPOLLOUT && end->kept != NULL)
		ok = give(end);
	if (ok && events & (EPOLLIN | EPOLLHUP | EPOLLERR) && end->events & EPOLLIN)
		ok = take(end);
	if (!ok)
		pair_close(pair_of(end));
}

void relay_epoll(int listener, uint16_t upstream_port)
{
	struct epoll_event events[256], event = { .events = EPOLLIN };

	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
		relay_die("epoll");
	for (;;) {
		int count = epoll_wait(epoll, events, 256, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == NULL)
				accept_all(listener, upstream_port);
			else
				serve(events[i].data.ptr, events[i].events);
		}
		bury();
	}
}
