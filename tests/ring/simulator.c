/* SPDX-License-Identifier: Apache-2.0 */
/* simulator.c - the simulator as the world of a program: late, short, in another order. */
#include <netinet/in.h>
#include <string.h>

#include "tests/sim/sim_world.h"
#include "tests/ring/ring.h"

static struct kolk__sim *sim_of(struct program *p)
{
	return *program_memory(p);
}

static void received_bytes(void *user, uint64_t peer, uint16_t port, const uint8_t *bytes,
			   size_t size)
{
	struct conn *conn = program_conn_of(user, peer);

	(void)port;
	if (conn != NULL)
		program_received(user, conn, bytes, size);
}

static bool open_sim(struct program *p)
{
	static const enum kolk__sim_fault faults[] = { KOLK__SIM_REFUSED, KOLK__SIM_SLOW,
						       KOLK__SIM_SHORT, KOLK__SIM_LATE,
						       KOLK__SIM_REORDERED, KOLK__SIM_BLACK_HOLE,
						       KOLK__SIM_ENOBUFS };
	struct kolk__sim *sim = kolk__sim_open(program_random(p));

	if (sim == NULL)
		return false;
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		if (program_below(p, 2) == 0)
			kolk__sim_chance(sim, faults[i], 1u << program_below(p, 14));
	kolk__sim_peers(sim, received_bytes, p);
	*program_memory(p) = sim;
	*program_sys(p) = kolk__sim_sys(sim);
	return true;
}

static void holds(struct program *p)
{
	if (kolk__sim_broken(sim_of(p)) != NULL)
		program_finding(p, "the simulator: %s", kolk__sim_broken(sim_of(p)));
}

static void close_sim(struct program *p)
{
	struct kolk__sim *sim = sim_of(p);
	const char *left = kolk__sim_leaks(sim);

	holds(p);
	if (left != NULL)
		program_finding(p, "the simulator: %s", left);
	kolk__sim_close(sim);
}

static int open_socket(struct program *p, struct conn *conn)
{
	const struct kolk_sys *sys = *program_sys(p);
	int fd = sys->sock_open(sys->context, AF_INET, NULL);

	conn->address = (struct kolk_address){ .size = sizeof(struct sockaddr_in),
					       .family = AF_INET };
	if (fd >= 0)
		conn->peer = kolk__sim_peer(sim_of(p), fd);
	return fd;
}

enum { PORT = 30000 };

static int listen_at(struct program *p, int index)
{
	const struct kolk_sys *sys = *program_sys(p);
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(PORT + index)) };
	struct kolk_address address = { .size = sizeof here, .family = AF_INET };

	memcpy(address.bytes, &here, sizeof here);
	return sys->sock_listen(sys->context, &(struct kolk_sock_listen){ .address = &address });
}

static bool dial(struct program *p, struct conn *conn, int index)
{
	conn->peer = kolk__sim_dial(sim_of(p), (uint16_t)(PORT + index));
	return conn->peer != 0;
}

static bool is_from(struct program *p, const struct conn *conn, int fd,
		    const struct kolk_address *address)
{
	const struct kolk_sys *sys = *program_sys(p);
	struct kolk_address name;

	return conn->peer == kolk__sim_peer(sim_of(p), fd) &&
	       sys->sock_name(sys->context, fd, true, &name) == 0 &&
	       memcmp(&name, address, sizeof name) == 0;
}

static void give_up(struct program *p, struct conn *conn)
{
	(void)p; /* its socket went with the listener */
	(void)conn;
}

static uint32_t unlisten(struct program *p, int index)
{
	const struct kolk_sys *sys = *program_sys(p);
	uint32_t queued = kolk__sim_queued(sim_of(p), (uint16_t)(PORT + index));

	sys->sock_unlisten(sys->context, program_listener(p, index));
	return queued;
}

static void connected(struct program *p, struct conn *conn)
{
	(void)p;
	(void)conn;
}

/* No more than a socket holds may be under way. */
static size_t say(struct program *p, struct conn *conn, uint8_t *bytes, size_t size)
{
	size_t space = SIM_RX - (size_t)(conn->said - conn->received);

	if (size > space)
		size = space;
	if (size > 0)
		kolk__sim_peer_says(sim_of(p), conn->peer, bytes, size);
	return size;
}

static void receive_bytes(struct program *p, struct conn *conn, size_t size)
{
	(void)p; /* received as it is sent */
	(void)conn;
	(void)size;
}

static void end(struct program *p, struct conn *conn, bool reset)
{
	kolk__sim_peer_ends(sim_of(p), conn->peer, reset);
}

static void leave(struct program *p, struct conn *conn)
{
	const struct kolk_sys *sys = *program_sys(p);

	sys->sock_close(sys->context, conn->fd);
}

static void stray(struct program *p)
{
	(void)p; /* peers of closed connections go on speaking by themselves */
}

static void advance_time(struct program *p)
{
	holds(p);
	kolk__sim_pass(sim_of(p), program_below(p, 200 * KOLK_US_NS));
}

static void close_ring(struct program *p, struct kolk_ring *ring)
{
	(*program_sys(p))->ring_close(ring);
}

const struct world world_simulator = {
	.open = open_sim,
	.close = close_sim,
	.socket = open_socket,
	.connected = connected,
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
