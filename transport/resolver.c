/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.c - DNS with c-ares on the ring's own thread: /etc/hosts, resolv.conf, A and AAAA.
 *
 * c-ares reports its sockets; they and a timer are in an epoll set of our own, and the ring waits
 * for that one descriptor. c-ares cannot cancel a single query: one that is cancelled completes at
 * once, and its answer is dropped when it arrives.
 *
 * AAAA and A are two queries. When one has brought addresses, the other has 50 ms more (RFC 8305,
 * section 3), or none when the first was answered without a server (/etc/hosts), or 900 ms when
 * the look-up asks for both. resolv.conf is read again when it has changed: a new channel is
 * opened, and the old one is closed after its last query.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/base/ascii.h"
#include "transport/resolver.h"
#include "transport/ring.h"

enum { EVENTS = 16 };
#define RESOLUTION_DELAY_NS (50 * KOLK_MS_NS)
#define WHOLE_DELAY_NS (900 * KOLK_MS_NS) /* less than a dial waits for it (dial.c) */

/* One family of a query. */
struct family_query {
	struct query *query;
	int32_t result; /* addresses, or -errno; 0 = no answer yet */
};

struct query {
	struct kolk_ring *ring;
	struct kolk_op *op; /* NULL = cancelled, or done */
	struct channel *channel;
	struct family_query v6, v4;
	uint32_t in_flight; /* halves that c-ares has */
	uint32_t count;     /* addresses so far */
	bool submitting;    /* inside submit */
	struct query *next, **at; /* in resolver.waiting; at NULL = not */
	uint64_t due_ns;
};

static struct query **query_of(struct kolk_op *op)
{
	return (struct query **)(void *)&op->ring_private[1];
}

/* ---- sockets and time */

void kolk__resolver_socket_changed(void *user, ares_socket_t fd, int readable, int writable)
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

static void keep_earliest(uint64_t *left_ns, uint64_t ns)
{
	if (ns + 1 < *left_ns)
		*left_ns = ns + 1; /* 0 would disarm */
}

static void timer_set(struct kolk__resolver *resolver)
{
	uint64_t left_ns = KOLK_FOREVER, now_ns = kolk_in_ns(0);
	struct itimerspec when = { 0 };

	for (struct channel *c = resolver->channels; c != NULL; c = c->next) {
		struct timeval left, *due = ares_timeout(c->ares, NULL, &left);

		if (due != NULL)
			keep_earliest(&left_ns, (uint64_t)due->tv_sec * KOLK_S_NS +
						 (uint64_t)due->tv_usec * KOLK_US_NS);
	}
	for (const struct query *q = resolver->waiting; q != NULL; q = q->next)
		keep_earliest(&left_ns, q->due_ns > now_ns ? q->due_ns - now_ns : 0);
	if (left_ns != KOLK_FOREVER) {
		when.it_value.tv_sec = (time_t)(left_ns / KOLK_S_NS);
		when.it_value.tv_nsec = (long)(left_ns % KOLK_S_NS);
	}
	(void)timerfd_settime(resolver->timer, 0, &when, NULL);
}

static void finish(struct query *query);

/* What has waited long enough for its other family. */
static void finish_waiting(struct kolk__resolver *resolver)
{
	uint64_t now_ns = kolk_in_ns(0);
	struct query *next;

	for (struct query *query = resolver->waiting; query != NULL; query = next) {
		next = query->next;
		if (query->due_ns <= now_ns)
			finish(query);
	}
}

void kolk__resolver_step(struct kolk_ring *ring)
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
		/* A channel that does not know the descriptor only checks its timers. */
		for (struct channel *c = resolver->channels; c != NULL; c = c->next) {
			errno = 0; /* failure_of */
			ares_process_fd(c->ares, in && fd != resolver->timer ? fd : ARES_SOCKET_BAD,
					out ? fd : ARES_SOCKET_BAD);
		}
	}
	finish_waiting(resolver);
	kolk__channels_close_stale(resolver);
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
	    ring->calls->watch_fd(ring, resolver->epoll)) {
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

void kolk__resolver_close(struct kolk_ring *ring)
{
	struct kolk__resolver *resolver = ring->resolver;

	if (resolver == NULL)
		return;
	while (resolver->channels != NULL)
		kolk__channel_close(&resolver->channels);
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

/* Append to the addresses of the other family. */
static int32_t copy_answer(struct query *query, const struct ares_addrinfo *answer)
{
	struct kolk_lookup *lookup = query->op->data;
	uint32_t before = query->count;

	for (const struct ares_addrinfo_node *node = answer->nodes; node != NULL;
	     node = node->ai_next) {
		struct kolk_address *address = &lookup->addresses[query->count];

		if (query->count == lookup->capacity || node->ai_addrlen > sizeof address->bytes)
			continue;
		address->family = (uint32_t)node->ai_family;
		address->size = (uint32_t)node->ai_addrlen;
		memcpy(address->bytes, node->ai_addr, node->ai_addrlen);
		if (node->ai_ttl >= 0 && (uint32_t)node->ai_ttl < lookup->ttl_s)
			lookup->ttl_s = (uint32_t)node->ai_ttl;
		query->count++;
	}
	return query->count > before ? (int32_t)(query->count - before) : -ENOENT;
}

/* c-ares hides a failed allocation ("no such name", when the line of /etc/hosts could not be
 * stored), but errno keeps it, since malloc(3) sets it: it is 0 before each call into c-ares. */
static int32_t failure_of(int status)
{
	return status != ARES_SUCCESS && errno == ENOMEM ? -ENOMEM : result_of(status);
}

/* ---- an answer is complete, or late */

/* Addresses, unless the others are missing for lack of memory. "No such name" only when both
 * families say so. */
static int32_t result_of_both(const struct query *query)
{
	if (query->v6.result == -ENOMEM || query->v4.result == -ENOMEM)
		return -ENOMEM;
	if (query->count > 0)
		return (int32_t)query->count;
	return query->v6.result != -ENOENT ? query->v6.result : query->v4.result;
}

static bool is_undecided(const struct family_query *family_query)
{
	return family_query->result <= 0 && family_query->result != -ENOENT;
}

static void stop_waiting(struct query *query)
{
	if (query->at == NULL)
		return;
	*query->at = query->next;
	if (query->next != NULL)
		query->next->at = query->at;
	query->at = NULL;
}

static void finish(struct query *query)
{
	struct kolk_op *op = query->op;
	struct kolk_lookup *lookup = op->data;

	stop_waiting(query);
	kolk__addresses_order(lookup, query->count);
	if (query->count == 0)
		lookup->ttl_s = 0;
	query->op = NULL;
	*query_of(op) = NULL;
	kolk__ring_done(query->ring, op, result_of_both(query));
}

/* Finish the query if it can be decided. It must not be cancelled. */
static void check_done(struct query *query)
{
	struct kolk__resolver *resolver = query->ring->resolver;
	struct kolk_lookup *lookup = query->op->data;

	lookup->partial = is_undecided(&query->v6) || is_undecided(&query->v4);
	if (query->in_flight == 0) {
		finish(query);
	} else if (query->count > 0 && query->at == NULL) {
		query->due_ns = kolk_in_ns(lookup->whole ? WHOLE_DELAY_NS : RESOLUTION_DELAY_NS);
		query->next = resolver->waiting;
		query->at = &resolver->waiting;
		if (query->next != NULL)
			query->next->at = &query->next;
		resolver->waiting = query;
	}
}

static void answered(void *user, int status, int timeouts, struct ares_addrinfo *answer)
{
	struct family_query *family_query = user;
	struct query *query = family_query->query;

	(void)timeouts;
	family_query->result = failure_of(status);
	query->in_flight--;
	query->channel->in_flight--;
	if (status == ARES_SUCCESS && query->op != NULL)
		family_query->result = copy_answer(query, answer);
	if (answer != NULL)
		ares_freeaddrinfo(answer);
	if (query->submitting)
		return;
	if (query->op != NULL)
		check_done(query);
	if (query->in_flight == 0)
		free(query);
}

static void query_family(struct family_query *family_query, int family)
{
	struct ares_addrinfo_hints hints = { .ai_family = family, .ai_socktype = SOCK_STREAM,
					     .ai_flags = ARES_AI_NUMERICSERV };
	struct query *query = family_query->query;
	const struct kolk_lookup *lookup = query->op->data;
	char service[8];

	snprintf(service, sizeof service, "%u", lookup->port);
	query->in_flight++;
	query->channel->in_flight++;
	errno = 0; /* failure_of */
	ares_getaddrinfo(query->channel->ares, lookup->host, service, &hints, answered, family_query);
}

/* It is not sent to a server (RFC 6761, section 6.3), so one query is enough. c-ares 1.18 would
 * leak a copy of the name for the family that /etc/hosts does not have. */
static bool is_localhost(const char *host)
{
	static const char name[] = "localhost";
	size_t size = strlen(host), tail = sizeof name - 1;

	return size >= tail && kolk__word_equal(host + size - tail, name) &&
	       (size == tail || host[size - tail - 1] == '.');
}

/* A query that is answered before this returns was in /etc/hosts: then there is no waiting. */
static void query_both(struct query *query)
{
	struct kolk_lookup *lookup = query->op->data;
	bool local = is_localhost(lookup->host);

	query->submitting = true;
	if (local)
		query->v6.result = -ENOENT;
	else
		query_family(&query->v6, AF_INET6);
	query_family(&query->v4, local ? AF_UNSPEC : AF_INET);
	query->submitting = false;
	if (query->count > 0) {
		lookup->partial = 0;
		finish(query);
	} else {
		check_done(query);
	}
	if (query->in_flight == 0)
		free(query);
}

void kolk__resolver_submit(struct kolk_ring *ring, struct kolk_op *op)
{
	struct kolk_lookup *lookup = op->data;
	struct kolk__resolver *resolver = resolver_open(ring);
	struct channel *channel = resolver != NULL ? kolk__channel_of(resolver, lookup->servers) : NULL;
	struct query *query = channel != NULL ? calloc(1, sizeof *query) : NULL;

	*query_of(op) = query;
	if (query == NULL) {
		kolk__ring_done(ring, op, -ENOMEM);
		return;
	}
	lookup->ttl_s = UINT32_MAX;
	query->ring = ring;
	query->op = op;
	query->channel = channel;
	query->v6.query = query->v4.query = query;
	query_both(query);
	timer_set(resolver);
}

void kolk__resolver_cancel(struct kolk_ring *ring, struct kolk_op *op)
{
	struct query *query = *query_of(op);

	if (query == NULL)
		return; /* answered: its completion is queued */
	stop_waiting(query);
	query->op = NULL;
	*query_of(op) = NULL;
	kolk__ring_done(ring, op, -ECANCELED);
}
