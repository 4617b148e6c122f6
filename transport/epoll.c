/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll.c - operations on readiness: try at once, wait for an edge only when it would block.
 *
 * Each descriptor has an entry with the operation that waits in each direction and the events that
 * are armed. While a watch or a stream waits, the events stay armed; an event that no operation
 * waits for is disarmed when it first occurs. A watch or a stream mostly ends with its socket, and
 * so does its registration. When an accept ends, its registration ends at once: others may hold the
 * listening socket, which goes on reporting events. Other operations arm one event (EPOLLONESHOT):
 * a registration that is left reports at most once more.
 *
 * The epoll set knows files, not numbers. A file that another process also holds (a fork's child,
 * or a child between clone and exec) keeps reporting events under the number that it had here. So
 * an event carries the generation that its number had when it was armed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "transport/linux.h"
#include "transport/ring.h"

enum { READS, WRITES, WATCHES, DIRECTIONS, EVENTS = 256 };
enum { SCRATCH = 65536, PIECES_MAX = 16 }; /* of a stream: 1 MiB per step */

/* Tags of the ring's own descriptors: no number is negative. */
#define WAKEUP UINT64_MAX
#define WATCHED (UINT64_MAX - 1)

struct entry {
	struct kolk_op *op[DIRECTIONS];
	uint32_t armed;      /* events; 0 = none */
	uint32_t generation; /* of the number, when they were armed */
	bool member;         /* in the set, as long as the generation is the same */
};

struct epoll_ring {
	struct kolk_ring base;
	int fd;
	struct entry *entries;
	uint32_t entry_count;
	uint8_t *scratch; /* where a stream's bytes arrive; NULL until the first */
};

static struct epoll_ring *ring_of(struct kolk_ring *ring)
{
	return (struct epoll_ring *)(void *)ring;
}

static struct entry *entry_of(struct epoll_ring *ring, int fd)
{
	uint32_t count = ring->entry_count != 0 ? ring->entry_count : 64;
	struct entry *entries;

	if ((uint32_t)fd < ring->entry_count)
		return &ring->entries[fd];
	while (count <= (uint32_t)fd)
		count *= 2;
	entries = realloc(ring->entries, count * sizeof *entries);
	if (entries == NULL)
		return NULL;
	memset(entries + ring->entry_count, 0, (count - ring->entry_count) * sizeof *entries);
	ring->entries = entries;
	ring->entry_count = count;
	return &entries[fd];
}

/* The events that reported something to read: kept in the operation's private words. */
static uint64_t *pending_events(struct kolk_op *op)
{
	return &op->ring_private[1];
}

static int direction_of(const struct kolk_op *op)
{
	switch (op->kind) {
	case KOLK_OP_RECV:
	case KOLK_OP_POLL:
		return READS;
	case KOLK_OP_WATCH:
	case KOLK_OP_STREAM:
	case KOLK_OP_ACCEPT:
		return WATCHES;
	default:
		return WRITES;
	}
}

static uint32_t events_of(const struct entry *entry)
{
	uint32_t events = (entry->op[READS] != NULL ? EPOLLIN | EPOLLRDHUP : 0u) |
			  (entry->op[WRITES] != NULL ? (uint32_t)EPOLLOUT : 0u);

	if (entry->op[WATCHES] != NULL)
		return events | EPOLLRDHUP |
		       (entry->op[WATCHES]->kind != KOLK_OP_WATCH ? (uint32_t)EPOLLIN : 0u);
	return events != 0 ? events | EPOLLONESHOT : 0;
}

/* The tag of an event: the number and its generation. */
static uint64_t tag_of(int fd, uint32_t generation)
{
	return (uint64_t)generation << 32 | (uint32_t)fd;
}

static int arm(struct epoll_ring *ring, int fd, uint32_t events)
{
	struct entry *entry = &ring->entries[fd];
	uint32_t generation = kolk__fd_generation(fd);
	struct epoll_event event = { .events = events | EPOLLET,
				     .data.u64 = tag_of(fd, generation) };
	bool member = entry->member && entry->generation == generation;
	int result = epoll_ctl(ring->fd, member ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);

	if (result != 0 && errno == EEXIST)
		result = epoll_ctl(ring->fd, EPOLL_CTL_MOD, fd, &event);
	if (result != 0)
		return -errno;
	entry->armed = events;
	entry->member = true;
	entry->generation = generation;
	return 0;
}

static void disarm(struct epoll_ring *ring, int fd)
{
	(void)epoll_ctl(ring->fd, EPOLL_CTL_DEL, fd, NULL);
	ring->entries[fd].armed = 0;
	ring->entries[fd].member = false;
}

/* Whether the armed events cover what the operations wait for. */
static bool is_armed(const struct entry *entry, int fd)
{
	return entry->armed != 0 && entry->generation == kolk__fd_generation(fd) &&
	       (events_of(entry) & ~entry->armed) == 0;
}

/* An operation does not wait any more. What is armed already can be changed without memory, so
 * that does not fail. */
static void remove_op(struct epoll_ring *ring, const struct kolk_op *op)
{
	struct entry *entry = &ring->entries[op->fd];

	entry->op[direction_of(op)] = NULL;
	if (events_of(entry) == 0) {
		if (op->kind == KOLK_OP_ACCEPT)
			disarm(ring, op->fd);
	} else if (!is_armed(entry, op->fd)) {
		(void)arm(ring, op->fd, events_of(entry));
	}
}

static int socket_error(int fd)
{
	int error = 0;
	socklen_t size = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		return -errno;
	return -error;
}

/* Whether the result means that the operation waits: a connect that returns EAGAIN has not begun,
 * and no event will come. */
static bool would_block(const struct kolk_op *op, int64_t result)
{
	return result == (op->kind == KOLK_OP_CONNECT ? -EINPROGRESS : -EAGAIN);
}

/* Do it if it can be done now. */
static int64_t try_op(struct kolk_op *op, bool first)
{
	switch (op->kind) {
	case KOLK_OP_RECV:
		return kolk__linux_sock_recv(NULL, op->fd, op->data, op->size);
	case KOLK_OP_SEND:
		return kolk__linux_sock_send(NULL, op->fd, op->data, op->size);
	case KOLK_OP_CONNECT:
		return kolk__sock_connected(op, first ? kolk__sock_connect(op) :
							socket_error(op->fd));
	case KOLK_OP_POLL:
		return poll(&(struct pollfd){ .fd = op->fd, .events = POLLIN }, 1, 0) > 0 ?
			       0 : -EAGAIN;
	default:
		return -EAGAIN;
	}
}

static void submit(struct kolk_ring *base, struct kolk_op *op)
{
	struct epoll_ring *ring = ring_of(base);
	int64_t result = try_op(op, true);
	struct entry *entry;
	int err;

	*pending_events(op) = 0;
	if (op->kind == KOLK_OP_STREAM && ring->scratch == NULL) {
		ring->scratch = malloc(SCRATCH);
		result = ring->scratch != NULL ? result : -ENOMEM;
	}

	if (!would_block(op, result)) {
		kolk__ring_done(base, op, (int32_t)result);
		return;
	}
	entry = entry_of(ring, op->fd);
	if (entry == NULL) {
		kolk__ring_done(base, op, -ENOMEM);
		return;
	}
	entry->op[direction_of(op)] = op;
	if (is_armed(entry, op->fd) && direction_of(op) != WATCHES)
		return;
	err = arm(ring, op->fd, events_of(entry)); /* reports what is there already, too */
	if (err != 0) {
		entry->op[direction_of(op)] = NULL;
		kolk__ring_done(base, op, err);
	}
}

static void cancel(struct kolk_ring *base, struct kolk_op *op)
{
	remove_op(ring_of(base), op);
	kolk__ring_done(base, op, -ECANCELED);
}

static void retry(struct epoll_ring *ring, struct kolk_op *op)
{
	int64_t result = op != NULL ? try_op(op, false) : 0;

	if (op == NULL || would_block(op, result))
		return;
	remove_op(ring, op);
	kolk__ring_done(&ring->base, op, (int32_t)result);
}

/* ---- streams and accepts: readiness first, the rest in step */

static void readable(struct epoll_ring *ring, struct kolk_op *op, uint32_t events)
{
	*pending_events(op) |= events;
	if (op->state == KOLK__WAITING)
		kolk__ring_readable(&ring->base, op);
}

static int64_t read_piece(struct epoll_ring *ring, struct kolk_op *op)
{
	int64_t got = kolk__linux_sock_recv(NULL, op->fd, ring->scratch, SCRATCH);

	if (got > 0) {
		op->data = ring->scratch;
		op->result = (int32_t)got;
		op->done(op); /* may cancel it; it ends below */
	}
	return got;
}

/* A short read has emptied the socket (epoll(7)), unless its end was reported, too. */
static bool has_more(struct kolk_op *op, int64_t got)
{
	bool ends = *pending_events(op) & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);

	return !op->cancelled && (got == SCRATCH || (ends && got > 0));
}

static void accept_some(struct epoll_ring *ring, struct kolk_op *op)
{
	int result = kolk__ring_accept(op);

	if (result == 0) {
		kolk__ring_readable(&ring->base, op);
	} else if (result != -EAGAIN) {
		remove_op(ring, op);
		kolk__op_end(op, result);
	} else {
		op->state = KOLK__WAITING;
	}
}

static void read_ready(struct kolk_ring *base, struct kolk_op *op)
{
	struct epoll_ring *ring = ring_of(base);
	int64_t got = SCRATCH;

	op->state = KOLK__READING;
	if (op->kind == KOLK_OP_ACCEPT) {
		accept_some(ring, op);
		return;
	}
	for (int i = 0; i < PIECES_MAX && has_more(op, got); i++)
		got = read_piece(ring, op);
	if (has_more(op, got)) {
		kolk__ring_readable(base, op);
	} else if (op->cancelled || (got <= 0 && got != -EAGAIN)) {
		remove_op(ring, op);
		kolk__op_end(op, op->cancelled ? -ECANCELED : (int32_t)got);
	} else {
		op->state = KOLK__WAITING;
		*pending_events(op) = 0;
	}
}

/* ---- events */

static void hang_up(struct epoll_ring *ring, struct kolk_op *op, uint32_t events)
{
	int result = events & EPOLLERR ? socket_error(op->fd) : 0;

	remove_op(ring, op);
	kolk__ring_done(&ring->base, op, result);
}

static void on_events(struct epoll_ring *ring, int fd, uint32_t events)
{
	struct entry *entry = &ring->entries[fd];
	struct kolk_op *watch = entry->op[WATCHES];
	uint32_t wanted;

	if (entry->armed & EPOLLONESHOT)
		entry->armed = 0;
	if (watch != NULL && watch->kind != KOLK_OP_WATCH)
		readable(ring, watch, events);
	else if (watch != NULL && events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
		hang_up(ring, watch, events);
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
		retry(ring, entry->op[READS]);
	if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		retry(ring, entry->op[WRITES]);
	wanted = events_of(entry);
	if (wanted == 0 && entry->armed != 0)
		disarm(ring, fd);
	/* No operation waits for it, or one of two events fired and the other is still needed. */
	if (wanted != 0 &&
	    (!is_armed(entry, fd) || (events & entry->armed & ~wanted & (EPOLLIN | EPOLLOUT)) != 0))
		(void)arm(ring, fd, wanted);
}

/* Of a descriptor, unless the number means another by now. */
static void on_event(struct epoll_ring *ring, const struct epoll_event *event)
{
	uint32_t fd = (uint32_t)event->data.u64;

	if (event->data.u64 == tag_of((int)fd, ring->entries[fd].generation))
		on_events(ring, (int)fd, event->events);
}

/* Those that were sent at once: all that waits for this step. */
static uint32_t lazy_done(struct kolk_ring *base)
{
	uint32_t count = 0;

	for (struct kolk_op *op = base->done; op != NULL; op = *kolk__op_next(op), count++)
		if (!op->lazy || op->state != KOLK__DONE)
			return 0;
	return count;
}

static int wait_events(struct kolk_ring *base, uint64_t timeout_ns, uint32_t lazy)
{
	struct epoll_ring *ring = ring_of(base);
	struct epoll_event events[EVENTS];
	struct timespec timeout = { .tv_sec = (time_t)(timeout_ns / KOLK_S_NS),
				    .tv_nsec = (long)(timeout_ns % KOLK_S_NS) };
	int count = epoll_pwait2(ring->fd, events, EVENTS,
				 timeout_ns == KOLK_FOREVER ? NULL : &timeout, NULL);
	uint64_t value;
	int result = count > 0;

	(void)lazy; /* what has ended already does not end this wait */
	if (count < 0 && errno == ENOSYS) /* before Linux 5.11 */
		count = epoll_wait(ring->fd, events, EVENTS,
				   timeout_ns == KOLK_FOREVER ? -1 :
				   (int)((timeout_ns + KOLK_MS_NS - 1) / KOLK_MS_NS));
	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		if (events[i].data.u64 == WATCHED)
			base->watched_ready = true;
		else if (events[i].data.u64 != WAKEUP)
			on_event(ring, &events[i]);
		else if (read(base->event_fd, &value, sizeof value) < 0 && errno != EAGAIN)
			result = -errno;
	}
	return result; /* edges come once: process the rest of the batch first */
}

static bool watch_fd(struct kolk_ring *base, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = WATCHED };

	return epoll_ctl(ring_of(base)->fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static int fd_of(struct kolk_ring *base)
{
	return ring_of(base)->fd;
}

static void close_ring(struct kolk_ring *base)
{
	struct epoll_ring *ring = ring_of(base);

	close(ring->fd);
	close(base->event_fd);
	free(ring->entries);
	free(ring->scratch);
	free(ring);
}

enum kolk_err kolk__epoll_open(struct kolk_ring **out)
{
	static const struct kolk__ring_calls calls = {
		.close = close_ring, .submit = submit, .cancel = cancel, .wait = wait_events,
		.lazy = lazy_done,
		.read = read_ready, .fd = fd_of, .watch_fd = watch_fd,
	};
	struct epoll_ring *ring = calloc(1, sizeof *ring);
	int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = WAKEUP };
	enum kolk_err err = KOLK_E_FILES;

	if (ring == NULL) {
		err = KOLK_E_MEMORY;
	} else if (event_fd >= 0) {
		ring->fd = epoll_create1(EPOLL_CLOEXEC);
		if (ring->fd >= 0 &&
		    epoll_ctl(ring->fd, EPOLL_CTL_ADD, event_fd, &event) == 0) {
			kolk__ring_init(&ring->base, &calls, event_fd);
			*out = &ring->base;
			return KOLK_OK;
		}
		if (ring->fd >= 0)
			close(ring->fd);
	}
	if (event_fd >= 0)
		close(event_fd);
	free(ring);
	return err;
}
