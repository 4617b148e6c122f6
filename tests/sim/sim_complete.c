/* SPDX-License-Identifier: Apache-2.0 */
/* sim_complete.c - what simulated operations that are due bring about. */
#include <errno.h>

#include "tests/sim/sim_world.h"

static int32_t send_result(struct kolk__sim *sim, struct kolk_op *op)
{
	return (int32_t)sim_sock_send(sim, op->fd, op->data, op->size);
}

/* False: no result yet, it waits on. */
static bool socket_result(struct kolk__sim *sim, struct kolk_op *op)
{
	struct sim_socket *socket = sim_socket_of(sim, op->fd);

	if (op->cancelled && (op->result == -ECANCELED || kolk__sim_below(sim, 2) == 0)) {
		op->result = -ECANCELED;
		return true;
	}
	switch (op->kind) {
	case KOLK_OP_CONNECT:
		socket->connected = op->result == 0;
		if (socket->connected)
			sim_accepted(sim, socket);
		return true;
	case KOLK_OP_SEND:
		op->result = send_result(sim, op);
		return true;
	case KOLK_OP_RECV:
		op->result = (int32_t)sim_sock_recv(sim, op->fd, op->data, op->size);
		if (op->result == -EAGAIN && op->cancelled)
			op->result = -ECANCELED;
		if (op->result != -EAGAIN)
			return true;
		sim_op_wait(sim, op);
		return false;
	case KOLK_OP_POLL:
		op->result = 0;
		return true;
	default:
		op->result = socket->reset ? -ECONNRESET : 0;
		return true;
	}
}

static void finish(struct kolk__sim *sim, struct kolk_op *op)
{
	kolk__sim_record(sim, sim->now_ns);
	kolk__sim_record(sim, ((uint64_t)op->kind << 32) | (uint32_t)op->result);
	sim_op_taken(sim, op);
	op->done(op);
}

/* A piece is delivered and the stream goes on; or it ends. */
static void stream(struct kolk__sim *sim, struct kolk_op *op)
{
	struct sim_socket *socket = sim_socket_of(sim, op->fd);
	uint8_t piece[SIM_RX];

	op->result = op->cancelled ? -ECANCELED :
				     (int32_t)sim_sock_recv(sim, op->fd, piece, sizeof piece);
	if (op->result <= 0 && op->result != -EAGAIN) {
		finish(sim, op);
		return;
	}
	if (op->result > 0) {
		kolk__sim_record(sim, sim->now_ns);
		kolk__sim_record(sim, ((uint64_t)op->kind << 32) | (uint32_t)op->result);
		op->data = piece;
		op->done(op);
		op->data = NULL;
	}
	if (op->cancelled) {
		sim_op_schedule(op, sim_latency(sim, 0, 100 * KOLK_US_NS));
		return;
	}
	sim_op_wait(sim, op);
	sim_poke(sim, socket);
}

/* What is queued, or it waits on. */
static void accept_some(struct kolk__sim *sim, struct kolk_op *op)
{
	struct sim_socket *socket = sim_socket_of(sim, op->fd);
	int32_t result = op->cancelled ? -ECANCELED : sim_accept(sim, op);

	if (op->cancelled)
		result = -ECANCELED;
	if (result < 0 && result != -EAGAIN) {
		op->result = result;
		finish(sim, op);
		return;
	}
	sim_op_wait(sim, op);
	sim_poke(sim, socket);
}

void sim_op_complete(struct kolk__sim *sim, struct kolk_op *op)
{
	if (op->kind == KOLK_OP_STREAM) {
		stream(sim, op);
		return;
	}
	if (op->kind == KOLK_OP_ACCEPT) {
		accept_some(sim, op);
		return;
	}
	if (op->kind == KOLK_OP_WORK) {
		op->work(op);
		op->result = 0;
	} else if (op->kind == KOLK_OP_RESOLVE) {
		op->result = op->cancelled ? -ECANCELED : sim_resolve(sim, op->data);
	} else if (!socket_result(sim, op)) {
		return;
	}
	finish(sim, op);
}
