/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.c - names on c-ares, in the ring's own thread: /etc/hosts, resolv.conf, A and AAAA.
 *
 * c-ares tells which sockets it has; they and a timer are in a small epoll set of our own, and
 * the ring waits for that one descriptor. A query cannot be taken back from c-ares: one that
 * is cancelled is answered at once and forgotten when its answer comes.
 */
#include <ares.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "transport/ring.h"

enum { TRY_MS = 1000, TRIES = 3, EVENTS = 16, CSV_MAX = 256 };

/* One per list of name servers, NULL = the system's. */
struct channel {
	struct channel *next;
	ares_channel ares;
	char servers[CSV_MAX];
};

struct kolk__resolver {
	int epoll, timer;
	struct channel *channels;
};

struct query {
	struct kolk_ring *ring;
	struct kolk_op *op; /* NULL = cancelled */
};

static struct query **query_of(struct kolk_op *op)
{
	return (struct query **)(void *)&op->ring_private[1];
}

/* ---- sockets and time */

static void socket_changed(void *user, ares_socket_t fd, int readable, int writable)
{
	struct kolk__resolver *resolver = user;
	struct epoll_event event = { .events = (readable ? (uint32_t)EPOLLIN : 0u) |
					       (writable ? (uint32_t)EPOLLOUT : 0u),
				     .data.fd = fd };

	if (event.events == 0)
		(void)epoll_ctl(resolver->epoll, EPOLL_CTL_DEL, fd, &event);
	else if (epoll_ctl(resolver->epoll, EPOLL_CTL_MOD, fd, &event) != 0)
		(void)epoll_ctl(resolver->epoll, EPOLL_CTL_ADD, fd, &event); /* else: times out */
}

static void timer_set(struct kolk__resolver *resolver)
{
	struct itimerspec when = { 0 };

	for (struct channel *c = resolver->channels; c != NULL; c = c->next) {
		struct timeval left, *due = ares_timeout(c->ares, NULL, &left);

		if (due == NULL)
			continue;
		if (when.it_value.tv_sec + when.it_value.tv_nsec == 0 ||
		    due->tv_sec < when.it_value.tv_sec ||
		    (due->tv_sec == when.it_value.tv_sec &&
		     due->tv_usec * 1000 < when.it_value.tv_nsec)) {
			when.it_value.tv_sec = due->tv_sec;
			when.it_value.tv_nsec = due->tv_usec * 1000 + 1; /* 0 would disarm */
		}
	}
	(void)timerfd_settime(resolver->timer, 0, &when, NULL);
}

void kolk__resolver_turn(struct kolk_ring *ring)
{
	struct kolk__resolver *resolver = ring->resolver;
	struct epoll_event events[EVENTS];
	int count = epoll_wait(resolver->epoll, events, EVENTS, 0);
	uint64_t ticks;

	for (int i = 0; i < count; i++) {
		int fd = events[i].data.fd;
		bool in = events[i].events & ~(uint32_t)EPOLLOUT, out = events[i].events & EPOLLOUT;

		if (fd == resolver->timer && read(fd, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
			continue;
		/* A channel that does not know the descriptor only looks at its clock. */
		for (struct channel *c = resolver->channels; c != NULL; c = c->next) {
			errno = 0; /* failure_of */
			ares_process_fd(c->ares, in && fd != resolver->timer ? fd : ARES_SOCKET_BAD,
					out ? fd : ARES_SOCKET_BAD);
		}
	}
	timer_set(resolver);
}

/* ---- open */

static int library; /* ares_library_init's answer */

static void library_open(void)
{
	library = ares_library_init(ARES_LIB_INIT_ALL);
}

static struct kolk__resolver *resolver_open(struct kolk_ring *ring)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct kolk__resolver *resolver;
	struct epoll_event event = { .events = EPOLLIN };

	pthread_once(&once, library_open);
	if (ring->resolver != NULL || library != ARES_SUCCESS)
		return ring->resolver;
	resolver = calloc(1, sizeof *resolver);
	if (resolver == NULL)
		return NULL;
	resolver->epoll = epoll_create1(EPOLL_CLOEXEC);
	resolver->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	event.data.fd = resolver->timer;
	if (resolver->epoll >= 0 && resolver->timer >= 0 &&
	    epoll_ctl(resolver->epoll, EPOLL_CTL_ADD, resolver->timer, &event) == 0 &&
	    ring->calls->attend(ring, resolver->epoll)) {
		ring->resolver = resolver;
		return resolver;
	}
	if (resolver->epoll >= 0)
		close(resolver->epoll);
	if (resolver->timer >= 0)
		close(resolver->timer);
	free(resolver);
	return NULL;
}

static struct channel *channel_of(struct kolk__resolver *resolver, const char *servers)
{
	struct ares_options options = { .timeout = TRY_MS, .tries = TRIES,
					.sock_state_cb = socket_changed,
					.sock_state_cb_data = resolver };
	struct channel *channel = resolver->channels;

	while (channel != NULL && strcmp(channel->servers, servers) != 0)
		channel = channel->next;
	if (channel != NULL)
		return channel;
	channel = calloc(1, sizeof *channel);
	if (channel == NULL)
		return NULL;
	if (ares_init_options(&channel->ares, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
			      ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) {
		free(channel);
		return NULL;
	}
	if (strlen(servers) >= sizeof channel->servers ||
	    (servers[0] != 0 &&
	     ares_set_servers_ports_csv(channel->ares, servers) != ARES_SUCCESS)) {
		ares_destroy(channel->ares);
		free(channel);
		return NULL;
	}
	memcpy(channel->servers, servers, strlen(servers) + 1);
	channel->next = resolver->channels;
	resolver->channels = channel;
	return channel;
}

void kolk__resolver_close(struct kolk_ring *ring)
{
	struct kolk__resolver *resolver = ring->resolver;

	if (resolver == NULL)
		return;
	while (resolver->channels != NULL) {
		struct channel *channel = resolver->channels;

		resolver->channels = channel->next;
		ares_destroy(channel->ares); /* answers what is open with ARES_EDESTRUCTION */
		free(channel);
	}
	close(resolver->epoll);
	close(resolver->timer);
	free(resolver);
	ring->resolver = NULL;
}

/* ---- questions and answers */

static int32_t result_of(int status)
{
	switch (status) {
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
	case ARES_ENONAME:
	case ARES_EBADNAME:
		return -ENOENT;
	case ARES_ENOMEM:
		return -ENOMEM;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return -ECANCELED;
	default:
		return -EAGAIN;
	}
}

static int32_t copy_answer(struct kolk_lookup *lookup, const struct ares_addrinfo *answer)
{
	uint32_t count = 0, ttl_s = UINT32_MAX;

	for (const struct ares_addrinfo_node *node = answer->nodes; node != NULL;
	     node = node->ai_next) {
		struct kolk_address *address = &lookup->addresses[count];

		if (count == lookup->capacity || node->ai_addrlen > sizeof address->bytes)
			continue;
		address->family = (uint32_t)node->ai_family;
		address->size = (uint32_t)node->ai_addrlen;
		memcpy(address->bytes, node->ai_addr, node->ai_addrlen);
		if (node->ai_ttl >= 0 && (uint32_t)node->ai_ttl < ttl_s)
			ttl_s = (uint32_t)node->ai_ttl;
		count++;
	}
	lookup->ttl_s = count > 0 ? ttl_s : 0;
	return count > 0 ? (int32_t)count : -ENOENT;
}

/* c-ares loses a lack of memory on its way up ("no such name", when the line of /etc/hosts found no
 * room), errno keeps it, since malloc(3) sets it: it is 0 before each call into c-ares. */
static int32_t failure_of(int status)
{
	return status != ARES_SUCCESS && errno == ENOMEM ? -ENOMEM : result_of(status);
}

static void answered(void *user, int status, int timeouts, struct ares_addrinfo *answer)
{
	struct query *query = user;
	struct kolk_op *op = query->op;
	int32_t result = failure_of(status);

	(void)timeouts;
	if (op != NULL) {
		if (status == ARES_SUCCESS)
			result = copy_answer(op->data, answer);
		*query_of(op) = NULL;
		kolk__ring_done(query->ring, op, result);
	}
	if (answer != NULL)
		ares_freeaddrinfo(answer);
	free(query);
}

void kolk__resolver_submit(struct kolk_ring *ring, struct kolk_op *op)
{
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
					     .ai_flags = ARES_AI_NUMERICSERV };
	const struct kolk_lookup *lookup = op->data;
	struct kolk__resolver *resolver = resolver_open(ring);
	struct channel *channel = resolver != NULL ? channel_of(resolver, lookup->servers) : NULL;
	struct query *query = channel != NULL ? malloc(sizeof *query) : NULL;
	char service[8];

	*query_of(op) = query;
	if (query == NULL) {
		kolk__ring_done(ring, op, -ENOMEM);
		return;
	}
	*query = (struct query){ ring, op };
	snprintf(service, sizeof service, "%u", lookup->port);
	errno = 0; /* failure_of */
	ares_getaddrinfo(channel->ares, lookup->host, service, &hints, answered, query);
	timer_set(resolver);
}

void kolk__resolver_cancel(struct kolk_ring *ring, struct kolk_op *op)
{
	struct query *query = *query_of(op);

	if (query == NULL)
		return; /* answered: its turn comes */
	query->op = NULL;
	*query_of(op) = NULL;
	kolk__ring_done(ring, op, -ECANCELED);
}
