/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_ring.c - the simulated rings: operations and when they complete.
 *
 * An operation is queued (it begins with its ring's next step, or with a flush: an entry of
 * io_uring that the kernel has not seen), pending (it waits for something to happen to its
 * socket), scheduled (in its ring's heap) or collected (its ring is completing a batch).
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/sim/sim_world.h"

enum op_state { QUEUED, PENDING, SCHEDULED, COLLECTED };
enum { BATCH = 64 };

struct kolk_ring {
	struct kolk__sim *sim;
	struct kolk__heap due;
	uint32_t queued;
	bool woken;
	bool lazy; /* a flush leaves what is queued for the next step */
};

/* What belongs to an operation in flight: its first private word points at it. */
struct sim_op {
	struct kolk__timer timer; /* first */
	struct kolk_op *op;
	uint64_t index; /* in sim.flying */
	struct kolk_ring *ring;
};
static struct sim_op *private_of(struct kolk_op *op)
{
	return (struct sim_op *)(uintptr_t)op->ring_private[0];
}

static struct kolk_op *op_of(struct kolk__timer *timer)
{
	return ((struct sim_op *)(void *)timer)->op;
}

/* ---- operations in flight */

void sim_op_schedule(struct kolk_op *op, uint64_t latency_ns)
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

bool sim_ring_uses(const struct kolk__sim *sim, const void *memory, size_t size)
{
	for (uint32_t i = 0; i < sim->flying_count; i++) {
		const struct kolk_op *op = sim->flying[i];

		if (overlaps(op, sizeof *op, memory, size) ||
		    (op->data != NULL && overlaps(op->data, op->size, memory, size)))
			return true;
	}
	return false;
}

void sim_op_taken(struct kolk__sim *sim, struct kolk_op *op)
{
	struct sim_op *private = private_of(op);
	struct kolk_op *last = sim->flying[--sim->flying_count];

	sim->flying[private->index] = last;
	private_of(last)->index = private->index;
	op->in_flight = 0;
	free(private);
}

/* Something happened to the socket: operations that wait for it complete soon. */
void sim_poke(struct kolk__sim *sim, struct sim_socket *socket)
{
	struct kolk_op *op = socket->recv;

	if (op != NULL && sim_has_news(socket)) {
		socket->recv = NULL;
		sim_op_schedule(op, sim_latency(sim, 0, 100 * KOLK_US_NS));
	}
	for (int i = 0; i < SIM_RINGS && socket->waiting > 0; i++) {
		if (socket->accept[i] != NULL)
			sim_op_schedule(socket->accept[i], sim_latency(sim, 0, 100 * KOLK_US_NS));
		socket->accept[i] = NULL;
	}
	op = socket->watch;
	if (op != NULL && (op->kind == KOLK_OP_STREAM ? sim_has_news(socket) :
							socket->ended || socket->reset)) {
		socket->watch = NULL;
		sim_op_schedule(op, sim_latency(sim, 0, 100 * KOLK_US_NS));
	}
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
		ring->lazy = kolk__sim_below(sim, 2) != 0;
		sim->rings[i] = *out = ring;
		*name = "simulator";
		*why = NULL;
		return KOLK_OK;
	}
	return KOLK_E_FILES;
}

/* sockaddr_in, sockaddr_in6: behind the family, in network order. */
static uint16_t port_of(const uint8_t *address)
{
	return (uint16_t)(address[2] << 8 | address[3]);
}

static void connect_begin(struct kolk__sim *sim, struct kolk_op *op)
{
	uint64_t latency_ns = sim_latency(sim, 50 * KOLK_US_NS, 5 * KOLK_MS_NS);

	sim_socket_of(sim, op->fd)->port = port_of(op->data);
	op->result = 0;
	if (sim->now_ns < sim->outage_ns || sim_fault(sim, KOLK__SIM_REFUSED))
		op->result = -ECONNREFUSED;
	else if (sim_fault(sim, KOLK__SIM_UNREACHABLE))
		op->result = -EHOSTUNREACH;
	else if (sim_fault(sim, KOLK__SIM_BLACK_HOLE))
		return;
	sim_op_schedule(op, latency_ns);
}

static int index_of(const struct kolk_ring *ring)
{
	int index = 0;

	while (ring->sim->rings[index] != ring)
		index++;
	return index;
}

static struct kolk_op **place_of(struct sim_socket *socket, struct kolk_op *op)
{
	if (op->kind == KOLK_OP_ACCEPT)
		return &socket->accept[index_of(private_of(op)->ring)];
	return op->kind == KOLK_OP_RECV || op->kind == KOLK_OP_POLL ? &socket->recv :
								      &socket->watch;
}

/* Give it the one place of its kind, or say that it is taken. */
void sim_op_wait(struct kolk__sim *sim, struct kolk_op *op)
{
	struct kolk_op **place = place_of(sim_socket_of(sim, op->fd), op);

	if (*place != NULL)
		sim_break(sim, "two operations of one kind on a socket");
	*place = op;
	op->state = PENDING;
}

static void begin(struct kolk__sim *sim, struct kolk_op *op)
{
	struct sim_socket *socket = sim_socket_of(sim, op->fd);
	uint64_t latency_ns = sim_latency(sim, KOLK_US_NS, 300 * KOLK_US_NS);

	private_of(op)->ring->queued--;
	op->state = PENDING;
	if (sim_fault(sim, KOLK__SIM_SLOW))
		latency_ns += kolk__sim_below(sim, 10 * KOLK_S_NS);
	if (op->kind == KOLK_OP_CONNECT) {
		connect_begin(sim, op);
	} else if (op->kind == KOLK_OP_SEND) {
		sim_op_schedule(op, latency_ns);
	} else {
		sim_op_wait(sim, op);
		sim_poke(sim, socket);
	}
}

static void begin_queued(struct kolk_ring *ring)
{
	struct kolk__sim *sim = ring->sim;

	for (uint32_t i = 0; ring->queued > 0 && i < sim->flying_count; i++)
		if (private_of(sim->flying[i])->ring == ring && sim->flying[i]->state == QUEUED)
			begin(sim, sim->flying[i]);
}

static void ring_submit(struct kolk_ring *ring, struct kolk_op *op)
{
	struct kolk__sim *sim = ring->sim;
	struct sim_op *private;

	if (op->in_flight)
		sim_break(sim, "an operation was submitted twice");
	private = malloc(sizeof *private);
	if (sim->flying_count == SIM_OPS || private == NULL) {
		free(private);
		sim_break(sim, "more operations than the limits allow");
		return;
	}
	*private = (struct sim_op){ .op = op, .index = sim->flying_count, .ring = ring };
	op->ring_private[0] = (uintptr_t)private;
	sim->flying[sim->flying_count++] = op;
	sim->submitted++;
	op->in_flight = 1;
	op->cancelled = 0;
	op->result = 0;
	if (op->kind == KOLK_OP_WORK || op->kind == KOLK_OP_RESOLVE) {
		sim_op_schedule(op, sim_latency(sim, KOLK_US_NS, 300 * KOLK_US_NS));
		return;
	}
	op->state = QUEUED;
	ring->queued++;
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
	if (op->state == QUEUED)
		begin(sim, op);
	if (op->kind == KOLK_OP_RESOLVE) {
		kolk__heap_remove(&ring->due, &private_of(op)->timer);
		sim_op_schedule(op, sim_latency(sim, 0, 100 * KOLK_US_NS));
		return;
	}
	socket = sim_socket_of(sim, op->fd);
	if (socket->recv == op)
		socket->recv = NULL;
	if (socket->watch == op)
		socket->watch = NULL;
	if (op->kind == KOLK_OP_ACCEPT && *place_of(socket, op) == op)
		*place_of(socket, op) = NULL;
	if (op->state == SCHEDULED)
		kolk__heap_remove(&ring->due, &private_of(op)->timer);
	else
		op->result = -ECANCELED;
	sim_op_schedule(op, sim_latency(sim, 0, 100 * KOLK_US_NS));
}

/* ---- steps */

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

/* Virtual time passes in waits alone: there is nothing to save by looking again. */
static int ring_step(struct kolk_ring *ring, uint64_t timeout_ns, uint64_t busy_ns)
{
	struct kolk__sim *sim = ring->sim;
	struct kolk_op *batch[BATCH];
	uint32_t count;

	(void)busy_ns;
	begin_queued(ring);
	sim_deliver_due(sim);
	count = collect(ring, batch);
	if (count == 0 && timeout_ns > 0) {
		wait_for(ring, timeout_ns);
		sim_deliver_due(sim);
		count = collect(ring, batch);
	}
	ring->woken = false;
	shuffle(sim, batch, count);
	for (uint32_t i = 0; i < count; i++) {
		if (sim_fault(sim, KOLK__SIM_LATE))
			sim_op_schedule(batch[i], sim_latency(sim, 0, 20 * KOLK_MS_NS));
		else
			sim_op_complete(sim, batch[i]);
	}
	return count > 0;
}

static void ring_wake(struct kolk_ring *ring)
{
	ring->woken = true;
}

static void ring_flush(struct kolk_ring *ring)
{
	if (!ring->lazy) /* a wake has no delay here */
		begin_queued(ring);
}

static int ring_fd(struct kolk_ring *ring)
{
	return index_of(ring);
}

static bool ring_pending(struct kolk_ring *ring)
{
	return ring->queued > 0;
}

bool kolk__sim_readable(struct kolk__sim *sim, int fd)
{
	struct kolk_ring *ring = sim->rings[fd];
	struct kolk__timer *timer;

	sim_deliver_due(sim);
	timer = kolk__heap_min(&ring->due);
	return ring->woken || (timer != NULL && timer->due_ns <= sim->now_ns);
}

uint64_t kolk__sim_submitted(const struct kolk__sim *sim)
{
	return sim->submitted;
}

static void ring_close(struct kolk_ring *ring)
{
	struct kolk__sim *sim = ring->sim;

	for (uint32_t i = sim->flying_count; i-- > 0;)
		if (private_of(sim->flying[i])->ring == ring)
			sim_op_taken(sim, sim->flying[i]);
	for (int i = 0; i < SIM_RINGS; i++)
		if (sim->rings[i] == ring)
			sim->rings[i] = NULL;
	free(ring);
}

/* ---- as a whole */

uint64_t sim_ring_next(const struct kolk__sim *sim)
{
	uint64_t next_ns = KOLK_FOREVER;

	for (int i = 0; i < SIM_RINGS; i++) {
		struct kolk__timer *timer =
			sim->rings[i] != NULL ? kolk__heap_min(&sim->rings[i]->due) : NULL;

		if (timer != NULL && timer->due_ns < next_ns)
			next_ns = timer->due_ns;
	}
	return next_ns;
}

void sim_ring_close(struct kolk__sim *sim)
{
	for (int i = 0; i < SIM_RINGS; i++)
		if (sim->rings[i] != NULL)
			ring_close(sim->rings[i]);
}

void sim_ring_table(struct kolk_sys *sys)
{
	sys->ring_open = ring_open;
	sys->ring_close = ring_close;
	sys->ring_submit = ring_submit;
	sys->ring_cancel = ring_cancel;
	sys->ring_step = ring_step;
	sys->ring_wake = ring_wake;
	sys->ring_flush = ring_flush;
	sys->ring_fd = ring_fd;
	sys->ring_pending = ring_pending;
}
