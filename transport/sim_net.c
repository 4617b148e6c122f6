/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_net.c - the simulated street: rings, sockets, peers.
 *
 * An operation is pending (it waits for something to happen to its socket), scheduled (in
 * its ring's heap) or collected (its ring is completing a batch). What a peer does travels
 * as a delivery with a latency; deliveries to one socket stay in order.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "transport/sim_world.h"

enum op_state { PENDING, SCHEDULED, COLLECTED };
enum { BATCH = 64, FIRST_FD = 3 };

struct kolk_ring {
	struct kolk__sim *sim;
	struct kolk__heap due;
	bool woken;
};

/* What an operation's private words hold. */
struct sim_op {
	struct kolk__timer timer;
	uint64_t index; /* in sim.flying */
	struct kolk_ring *ring;
};
_Static_assert(sizeof(struct sim_op) <= sizeof((struct kolk_op *)0)->ring_private,
	       "sim_op fits its words");

enum happening { DATA, END, RESET };

struct delivery {
	struct kolk__timer timer; /* first */
	uint32_t socket, generation;
	enum happening what;
	uint32_t size;
	uint8_t bytes[];
};

static struct sim_op *private_of(struct kolk_op *op)
{
	return (struct sim_op *)(void *)op->ring_private;
}

static struct kolk_op *op_of(struct kolk__timer *timer)
{
	return (struct kolk_op *)(void *)((char *)timer - offsetof(struct kolk_op, ring_private));
}

static struct sim_socket *socket_of(struct kolk__sim *sim, int fd)
{
	struct sim_socket *socket;

	if (fd < FIRST_FD || fd >= FIRST_FD + SIM_SOCKETS) {
		sim_break(sim, "an operation on what is no socket");
		return &sim->sockets[0];
	}
	socket = &sim->sockets[fd - FIRST_FD];
	if (!socket->open)
		sim_break(sim, "an operation on a closed socket");
	return socket;
}

/* ---- operations in flight */

static void schedule(struct kolk_op *op, uint64_t latency_ns)
{
	struct sim_op *private = private_of(op);

	op->state = SCHEDULED;
	kolk__heap_push(&private->ring->due, &private->timer,
			private->ring->sim->now_ns + latency_ns);
}

static bool overlaps(const void *a, size_t a_size, const void *b, size_t b_size)
{
	return (uintptr_t)a < (uintptr_t)b + b_size && (uintptr_t)b < (uintptr_t)a + a_size;
}

bool sim_net_uses(const struct kolk__sim *sim, const void *memory, size_t size)
{
	for (uint32_t i = 0; i < sim->flying_count; i++) {
		const struct kolk_op *op = sim->flying[i];

		if (overlaps(op, sizeof *op, memory, size) ||
		    (op->data != NULL && overlaps(op->data, op->size, memory, size)))
			return true;
	}
	return false;
}

static void take_off(struct kolk__sim *sim, struct kolk_op *op)
{
	struct sim_op *private = private_of(op);
	struct kolk_op *last = sim->flying[--sim->flying_count];

	sim->flying[private->index] = last;
	private_of(last)->index = private->index;
	op->in_flight = 0;
}

static bool has_news(const struct sim_socket *socket)
{
	return socket->received > 0 || socket->ended || socket->reset;
}

/* Something happened to the socket: who waited for it is served soon. */
static void poke(struct kolk__sim *sim, struct sim_socket *socket)
{
	struct kolk_op *op = socket->recv;

	if (op != NULL && has_news(socket)) {
		socket->recv = NULL;
		schedule(op, sim_latency(sim, 0, 100 * KOLK_US_NS));
	}
	op = socket->watch;
	if (op != NULL && (op->kind == KOLK_OP_STREAM ? has_news(socket) :
							socket->ended || socket->reset)) {
		socket->watch = NULL;
		schedule(op, sim_latency(sim, 0, 100 * KOLK_US_NS));
	}
}

/* ---- peers */

static void deliver(struct kolk__sim *sim, struct delivery *delivery)
{
	struct sim_socket *socket = &sim->sockets[delivery->socket];

	if (!socket->open || socket->generation != delivery->generation || socket->reset)
		return;
	if (delivery->what == END)
		socket->ended = true;
	if (delivery->what == RESET)
		socket->reset = true;
	if (delivery->what == DATA && !socket->ended &&
	    socket->received + delivery->size <= SIM_RX) {
		memcpy(socket->rx + socket->received, delivery->bytes, delivery->size);
		socket->received += delivery->size;
	}
	poke(sim, socket);
}

static void deliver_due(struct kolk__sim *sim)
{
	struct kolk__timer *timer;

	while ((timer = kolk__heap_min(&sim->deliveries)) != NULL &&
	       timer->due_ns <= sim->now_ns) {
		struct delivery *delivery = (struct delivery *)(void *)timer;

		kolk__heap_remove(&sim->deliveries, timer);
		deliver(sim, delivery);
		free(delivery);
	}
}

static void send_later(struct kolk__sim *sim, struct sim_socket *socket, enum happening what,
		       const uint8_t *bytes, uint32_t size)
{
	struct delivery *delivery = calloc(1, sizeof *delivery + size);
	uint64_t due_ns = sim->now_ns + sim_latency(sim, 20 * KOLK_US_NS, 5 * KOLK_MS_NS);

	if (sim_fault(sim, KOLK__SIM_SLOW))
		due_ns += kolk__sim_below(sim, 10 * KOLK_S_NS);
	if (due_ns < socket->last_due_ns)
		due_ns = socket->last_due_ns;
	socket->last_due_ns = due_ns + 1;
	delivery->socket = (uint32_t)(socket - sim->sockets);
	delivery->generation = socket->generation;
	delivery->what = what;
	delivery->size = size;
	if (size > 0)
		memcpy(delivery->bytes, bytes, size);
	kolk__heap_push(&sim->deliveries, &delivery->timer, due_ns);
}

/* PING is answered, everything else comes back as it is. */
static void peer_gets(struct kolk__sim *sim, struct sim_socket *socket, const uint8_t *bytes,
		      size_t size)
{
	static const char ping[] = "PING\r\n", pong[] = "+PONG\r\n";
	uint8_t answer[SIM_RX * 2];
	uint32_t length = 0;

	if (socket->mute || (socket->mute = sim_fault(sim, KOLK__SIM_MUTE)))
		return;
	for (size_t i = 0; i < size && length < SIM_RX; i++) {
		if (bytes[i] == (uint8_t)ping[socket->matched]) {
			if (++socket->matched < sizeof ping - 1)
				continue;
			memcpy(answer + length, pong, sizeof pong - 1);
			length += sizeof pong - 1;
			socket->matched = 0;
			continue;
		}
		memcpy(answer + length, ping, socket->matched);
		length += socket->matched;
		answer[length++] = bytes[i];
		socket->matched = 0;
	}
	if (length > 0)
		send_later(sim, socket, DATA, answer, length);
	if (sim_fault(sim, KOLK__SIM_EOF))
		send_later(sim, socket, END, NULL, 0);
	if (sim_fault(sim, KOLK__SIM_RESET))
		send_later(sim, socket, RESET, NULL, 0);
}

void kolk__sim_hurt(struct kolk__sim *sim)
{
	struct sim_socket *socket = &sim->sockets[kolk__sim_below(sim, SIM_SOCKETS)];

	for (int i = 0; i < SIM_SOCKETS && !(socket->open && socket->connected); i++)
		socket = socket == &sim->sockets[SIM_SOCKETS - 1] ? sim->sockets : socket + 1;
	if (!socket->open || !socket->connected)
		return;
	switch (kolk__sim_below(sim, 4)) {
	case 0:
		sim->fired[KOLK__SIM_EOF]++;
		send_later(sim, socket, END, NULL, 0);
		break;
	case 1:
		sim->fired[KOLK__SIM_RESET]++;
		send_later(sim, socket, RESET, NULL, 0);
		break;
	case 2:
		sim->fired[KOLK__SIM_JUNK]++;
		send_later(sim, socket, DATA, (const uint8_t *)"junk", 4);
		break;
	default:
		sim->fired[KOLK__SIM_MUTE]++;
		socket->mute = true;
	}
}

void kolk__sim_outage(struct kolk__sim *sim, uint64_t until_ns)
{
	sim->outage_ns = until_ns;
}

/* ---- sockets, directly */

static int sock_open(void *context, uint32_t family, const struct kolk_sock_options *options)
{
	struct kolk__sim *sim = context;

	(void)family;
	(void)options;
	if (sim_fault(sim, KOLK__SIM_EMFILE))
		return -EMFILE;
	for (int i = 0; i < SIM_SOCKETS; i++) {
		struct sim_socket *socket = &sim->sockets[i];

		if (socket->open)
			continue;
		*socket = (struct sim_socket){ .open = true, .generation = socket->generation + 1 };
		sim->sockets_open++;
		return FIRST_FD + i;
	}
	sim_break(sim, "more sockets than the limits allow");
	return -EMFILE;
}

static void sock_close(void *context, int fd)
{
	struct kolk__sim *sim = context;

	for (uint32_t i = 0; i < sim->flying_count; i++)
		if (sim->flying[i]->fd == fd && sim->flying[i]->kind != KOLK_OP_WORK &&
		    sim->flying[i]->kind != KOLK_OP_RESOLVE)
			sim_break(sim, "a socket was closed under an operation");
	socket_of(sim, fd)->open = false;
	sim->sockets_open--;
}

/* Fewer than asked for, sometimes. */
static size_t shortened(struct kolk__sim *sim, size_t size)
{
	return size > 1 && sim_fault(sim, KOLK__SIM_SHORT) ? 1 + kolk__sim_below(sim, size - 1) :
							     size;
}

static int64_t sock_send(void *context, int fd, const void *data, size_t size)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket = socket_of(sim, fd);

	if (socket->reset)
		return -ECONNRESET;
	size = shortened(sim, size);
	peer_gets(sim, socket, data, size);
	return (int64_t)size;
}

static int64_t sock_recv(void *context, int fd, void *data, size_t size)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket = socket_of(sim, fd);

	if (socket->reset)
		return -ECONNRESET;
	if (socket->received == 0)
		return socket->ended ? 0 : -EAGAIN;
	size = shortened(sim, size < socket->received ? size : socket->received);
	memcpy(data, socket->rx, size);
	socket->received -= (uint32_t)size;
	memmove(socket->rx, socket->rx + size, socket->received);
	return (int64_t)size;
}

static int64_t sock_peek(void *context, int fd)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket = socket_of(sim, fd);

	deliver_due(sim);
	return socket->reset ? -ECONNRESET : socket->received > 0 ? 1 : socket->ended ? 0 : -EAGAIN;
}

static int sock_wait(void *context, int fd, uint32_t events, uint64_t deadline_ns)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket = socket_of(sim, fd);

	for (;;) {
		deliver_due(sim);
		if (events & KOLK_SOCK_WRITABLE || has_news(socket))
			return 1;
		if (sim->now_ns >= deadline_ns)
			return 0;
		if (sim->turn != NULL)
			sim->turn(sim->turn_user);
		else
			kolk__sim_pass(sim, KOLK_MS_NS);
	}
}

static int sock_info(void *context, int fd, uint32_t *rtt_us, uint32_t *resent)
{
	(void)socket_of(context, fd);
	*rtt_us = 1000;
	*resent = 0;
	return 0;
}

static void sock_shutdown(void *context, int fd)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket = socket_of(sim, fd);

	socket->ended = true;
	poke(sim, socket);
}

/* One of 64 addresses changes now and then; answers are good for up to 20 s. */
static int32_t resolve(struct kolk__sim *sim, struct kolk_lookup *lookup)
{
	uint32_t count = 1 + (uint32_t)kolk__sim_below(sim, 3);

	if (sim_fault(sim, KOLK__SIM_RESOLVE))
		return -ENOENT;
	lookup->ttl_s = (uint32_t)kolk__sim_below(sim, 20);
	for (uint32_t i = 0; i < count && i < lookup->capacity; i++)
		lookup->addresses[i] = (struct kolk_address){
			.size = sizeof(struct sockaddr_in), .family = AF_INET,
			.bytes = { 0, 0, 0, 0, (uint8_t)kolk__sim_below(sim, 4) } };
	return (int32_t)count;
}

/* ---- rings */

static enum kolk_err ring_open(void *context, uint32_t backend, struct kolk_ring **out,
			       const char **name, const char **why)
{
	struct kolk__sim *sim = context;
	struct kolk_ring *ring;

	(void)backend;
	for (int i = 0; i < SIM_RINGS; i++) {
		if (sim->rings[i] != NULL)
			continue;
		if (sim_fault(sim, KOLK__SIM_EMFILE))
			return KOLK_E_FILES;
		ring = calloc(1, sizeof *ring);
		if (ring == NULL)
			return KOLK_E_MEMORY;
		ring->sim = sim;
		sim->rings[i] = *out = ring;
		*name = "simulator";
		*why = NULL;
		return KOLK_OK;
	}
	return KOLK_E_FILES;
}

static void connect_begin(struct kolk__sim *sim, struct kolk_op *op)
{
	uint64_t latency_ns = sim_latency(sim, 50 * KOLK_US_NS, 5 * KOLK_MS_NS);

	op->result = 0;
	if (sim->now_ns < sim->outage_ns || sim_fault(sim, KOLK__SIM_REFUSED))
		op->result = -ECONNREFUSED;
	else if (sim_fault(sim, KOLK__SIM_UNREACHABLE))
		op->result = -EHOSTUNREACH;
	else if (sim_fault(sim, KOLK__SIM_BLACK_HOLE))
		return;
	schedule(op, latency_ns);
}

/* Give it the one place of its kind, or say that it is taken. */
static void wait_on(struct kolk__sim *sim, struct kolk_op **place, struct kolk_op *op)
{
	if (*place != NULL)
		sim_break(sim, "two operations of one kind on a socket");
	*place = op;
}

static void ring_submit(struct kolk_ring *ring, struct kolk_op *op)
{
	struct kolk__sim *sim = ring->sim;
	struct sim_op *private = private_of(op);
	struct sim_socket *socket;
	uint64_t latency_ns = sim_latency(sim, KOLK_US_NS, 300 * KOLK_US_NS);

	if (op->in_flight)
		sim_break(sim, "an operation was submitted twice");
	if (sim->flying_count == SIM_OPS) {
		sim_break(sim, "more operations than the limits allow");
		return;
	}
	*private = (struct sim_op){ .index = sim->flying_count, .ring = ring };
	sim->flying[sim->flying_count++] = op;
	op->in_flight = 1;
	op->cancelled = 0;
	op->result = 0;
	op->state = PENDING;
	if (sim_fault(sim, KOLK__SIM_SLOW))
		latency_ns += kolk__sim_below(sim, 10 * KOLK_S_NS);
	if (op->kind == KOLK_OP_WORK || op->kind == KOLK_OP_RESOLVE) {
		schedule(op, latency_ns);
		return;
	}
	socket = socket_of(sim, op->fd);
	if (op->kind == KOLK_OP_CONNECT) {
		connect_begin(sim, op);
	} else if (op->kind == KOLK_OP_SEND) {
		schedule(op, latency_ns);
	} else {
		wait_on(sim, op->kind == KOLK_OP_RECV ? &socket->recv : &socket->watch, op);
		poke(sim, socket);
	}
}

static void ring_cancel(struct kolk_ring *ring, struct kolk_op *op)
{
	struct kolk__sim *sim = ring->sim;
	struct sim_socket *socket;

	if (!op->in_flight || private_of(op)->ring != ring)
		sim_break(sim, "a cancel of what is not in flight here");
	if (op->kind == KOLK_OP_WORK || op->cancelled)
		return;
	op->cancelled = 1;
	if (op->state == COLLECTED)
		return;
	if (op->kind == KOLK_OP_RESOLVE) {
		kolk__heap_remove(&ring->due, &private_of(op)->timer);
		schedule(op, sim_latency(sim, 0, 100 * KOLK_US_NS));
		return;
	}
	socket = socket_of(sim, op->fd);
	if (socket->recv == op)
		socket->recv = NULL;
	if (socket->watch == op)
		socket->watch = NULL;
	if (op->state == SCHEDULED)
		kolk__heap_remove(&ring->due, &private_of(op)->timer);
	else
		op->result = -ECANCELED;
	schedule(op, sim_latency(sim, 0, 100 * KOLK_US_NS));
}

/* ---- completion */

static int32_t send_result(struct kolk__sim *sim, struct kolk_op *op)
{
	return (int32_t)sock_send(sim, op->fd, op->data, op->size);
}

/* False: nothing to tell yet, it waits on. */
static bool socket_result(struct kolk__sim *sim, struct kolk_op *op)
{
	struct sim_socket *socket = socket_of(sim, op->fd);

	if (op->cancelled && (op->result == -ECANCELED || kolk__sim_below(sim, 2) == 0)) {
		op->result = -ECANCELED;
		return true;
	}
	switch (op->kind) {
	case KOLK_OP_CONNECT:
		socket->connected = op->result == 0;
		return true;
	case KOLK_OP_SEND:
		op->result = send_result(sim, op);
		return true;
	case KOLK_OP_RECV:
		op->result = (int32_t)sock_recv(sim, op->fd, op->data, op->size);
		if (op->result == -EAGAIN && op->cancelled)
			op->result = -ECANCELED;
		if (op->result != -EAGAIN)
			return true;
		op->state = PENDING;
		wait_on(sim, &socket->recv, op);
		return false;
	default:
		op->result = socket->reset ? -ECONNRESET : 0;
		return true;
	}
}

static void finish(struct kolk__sim *sim, struct kolk_op *op)
{
	kolk__sim_note(sim, sim->now_ns);
	kolk__sim_note(sim, ((uint64_t)op->kind << 32) | (uint32_t)op->result);
	take_off(sim, op);
	op->done(op);
}

/* A piece is told and the stream goes on; or it ends. */
static void stream(struct kolk__sim *sim, struct kolk_op *op)
{
	struct sim_socket *socket = socket_of(sim, op->fd);
	uint8_t piece[SIM_RX];

	op->result = op->cancelled ? -ECANCELED :
				     (int32_t)sock_recv(sim, op->fd, piece, sizeof piece);
	if (op->result <= 0 && op->result != -EAGAIN) {
		finish(sim, op);
		return;
	}
	if (op->result > 0) {
		kolk__sim_note(sim, sim->now_ns);
		kolk__sim_note(sim, ((uint64_t)op->kind << 32) | (uint32_t)op->result);
		op->data = piece;
		op->done(op);
		op->data = NULL;
	}
	if (op->cancelled) {
		schedule(op, sim_latency(sim, 0, 100 * KOLK_US_NS));
		return;
	}
	op->state = PENDING;
	wait_on(sim, &socket->watch, op);
	poke(sim, socket);
}

static void complete(struct kolk__sim *sim, struct kolk_op *op)
{
	if (op->kind == KOLK_OP_STREAM) {
		stream(sim, op);
		return;
	}
	if (op->kind == KOLK_OP_WORK) {
		op->work(op);
		op->result = 0;
	} else if (op->kind == KOLK_OP_RESOLVE) {
		op->result = op->cancelled ? -ECANCELED : resolve(sim, op->data);
	} else if (!socket_result(sim, op)) {
		return;
	}
	finish(sim, op);
}

static uint32_t collect(struct kolk_ring *ring, struct kolk_op **batch)
{
	struct kolk__timer *timer;
	uint32_t count = 0;

	while (count < BATCH && (timer = kolk__heap_min(&ring->due)) != NULL &&
	       timer->due_ns <= ring->sim->now_ns) {
		kolk__heap_remove(&ring->due, timer);
		batch[count] = op_of(timer);
		batch[count++]->state = COLLECTED;
	}
	return count;
}

static void shuffle(struct kolk__sim *sim, struct kolk_op **batch, uint32_t count)
{
	if (count < 2 || !sim_fault(sim, KOLK__SIM_REORDERED))
		return;
	for (uint32_t i = count - 1; i > 0; i--) { /* Fisher and Yates */
		uint32_t j = (uint32_t)kolk__sim_below(sim, i + 1);
		struct kolk_op *op = batch[i];

		batch[i] = batch[j];
		batch[j] = op;
	}
}

static void wait_for(struct kolk_ring *ring, uint64_t timeout_ns)
{
	struct kolk__sim *sim = ring->sim;
	uint64_t next_ns = sim_net_next(sim);
	uint64_t left_ns = next_ns == KOLK_FOREVER ? KOLK_MS_NS :
			   next_ns > sim->now_ns   ? next_ns - sim->now_ns : 0;

	if (!ring->woken)
		kolk__sim_pass(sim, left_ns < timeout_ns ? left_ns : timeout_ns);
}

static int ring_step(struct kolk_ring *ring, uint64_t timeout_ns)
{
	struct kolk__sim *sim = ring->sim;
	struct kolk_op *batch[BATCH];
	uint32_t count;

	deliver_due(sim);
	count = collect(ring, batch);
	if (count == 0 && timeout_ns > 0) {
		wait_for(ring, timeout_ns);
		deliver_due(sim);
		count = collect(ring, batch);
	}
	ring->woken = false;
	shuffle(sim, batch, count);
	for (uint32_t i = 0; i < count; i++) {
		if (sim_fault(sim, KOLK__SIM_LATE))
			schedule(batch[i], sim_latency(sim, 0, 20 * KOLK_MS_NS));
		else
			complete(sim, batch[i]);
	}
	return 0;
}

static void ring_wake(struct kolk_ring *ring)
{
	ring->woken = true;
}

static void ring_flush(struct kolk_ring *ring)
{
	(void)ring; /* a wake has no delay here */
}

static int ring_fd(struct kolk_ring *ring)
{
	(void)ring;
	return -1;
}

static void ring_close(struct kolk_ring *ring)
{
	struct kolk__sim *sim = ring->sim;

	for (uint32_t i = sim->flying_count; i-- > 0;)
		if (private_of(sim->flying[i])->ring == ring)
			take_off(sim, sim->flying[i]);
	for (int i = 0; i < SIM_RINGS; i++)
		if (sim->rings[i] == ring)
			sim->rings[i] = NULL;
	free(ring);
}

/* ---- as a whole */

uint64_t sim_net_next(const struct kolk__sim *sim)
{
	struct kolk__timer *timer = kolk__heap_min(&sim->deliveries);
	uint64_t next_ns = timer != NULL ? timer->due_ns : KOLK_FOREVER;

	for (int i = 0; i < SIM_RINGS; i++) {
		timer = sim->rings[i] != NULL ? kolk__heap_min(&sim->rings[i]->due) : NULL;
		if (timer != NULL && timer->due_ns < next_ns)
			next_ns = timer->due_ns;
	}
	return next_ns;
}

void sim_net_close(struct kolk__sim *sim)
{
	struct kolk__timer *timer;

	while ((timer = kolk__heap_min(&sim->deliveries)) != NULL) {
		kolk__heap_remove(&sim->deliveries, timer);
		free(timer);
	}
	for (int i = 0; i < SIM_RINGS; i++)
		if (sim->rings[i] != NULL)
			ring_close(sim->rings[i]);
}

void sim_net_table(struct kolk_sys *sys)
{
	sys->ring_open = ring_open;
	sys->ring_close = ring_close;
	sys->ring_submit = ring_submit;
	sys->ring_cancel = ring_cancel;
	sys->ring_step = ring_step;
	sys->ring_wake = ring_wake;
	sys->ring_flush = ring_flush;
	sys->ring_fd = ring_fd;
	sys->sock_open = sock_open;
	sys->sock_send = sock_send;
	sys->sock_recv = sock_recv;
	sys->sock_peek = sock_peek;
	sys->sock_wait = sock_wait;
	sys->sock_info = sock_info;
	sys->sock_shutdown = sock_shutdown;
	sys->sock_close = sock_close;
}
