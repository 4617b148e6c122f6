/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams.c - the listening side in a simulated engine: listeners with random limits, peers that dial
 * them, speak, end and reset, and handlers that do anything at any time. Every byte is known, in both
 * directions, and every stream ends once.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_world.h"
#include "tests/sim/world.h"
#include "transport/stream.h"

enum { LISTENERS = 2, CALLERS = 20, SERVED = 64, PIECE = 200, FIRST_PORT = 7000 };

struct gate { /* a listener */
	struct world *world;
	struct kolk_listener *listener; /* NULL = not there */
	uint32_t streams_max, live;
	uint16_t port;
	bool proxies, stopped, closing;
};

struct caller { /* a peer that dialled */
	uint64_t peer;          /* 0 = none */
	uint64_t said, heard;   /* of its bytes: by it, by the stream */
	uint64_t got;           /* of the stream's, by it */
	bool ended, junk;       /* junk: its PROXY header is none */
	bool accepted;          /* its stream was shown; it may have ended since */
};

struct served { /* a stream */
	struct gate *gate;
	struct kolk_stream *stream; /* NULL = free */
	struct kolk_io io;
	struct caller *caller;
	uint64_t sent;
	bool sending, paused, closed, ended;
	bool ends_well;         /* whatever happens from now on */
	uint8_t bytes[PIECE];
};

struct streams {
	struct gate gates[LISTENERS];
	struct caller callers[CALLERS];
	struct served served[SERVED];
	uint64_t opened, closed;
};

static const char header[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
enum { HEADER = sizeof header - 1 };

static uint8_t byte_at(uint64_t peer, uint64_t at, bool from_peer)
{
	return (uint8_t)(peer * 131 + at * 7 + from_peer * 3 + 1);
}

static void fill(uint8_t *bytes, size_t size, uint64_t peer, uint64_t at, bool from_peer)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(peer, at + i, from_peer);
}

static bool fits(const uint8_t *bytes, size_t size, uint64_t peer, uint64_t at, bool from_peer)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != byte_at(peer, at + i, from_peer))
			return false;
	return true;
}

/* ---- streams */

static void stream_act(struct world *world, struct served *s);

static struct caller *caller_of(struct world *world, uint64_t peer)
{
	for (struct caller *c = world->streams->callers; c < world->streams->callers + CALLERS; c++)
		if (c->peer == peer)
			return c;
	return NULL;
}

static void *on_open(void *user, struct kolk_stream *stream)
{
	struct gate *gate = user;
	struct world *world = gate->world;
	struct served *s = world->streams->served;
	int fd = kolk__link_of_stream(stream)->fd;
	struct caller *caller = caller_of(world, kolk__sim_peer(world->sim, fd));

	if (!world->calm && below(world, 16) == 0)
		return NULL;
	while (s->stream != NULL)
		if (++s == world->streams->served + SERVED)
			return NULL;
	if (caller == NULL || caller->junk) {
		world_break(world, "a stream of a peer that did not dial, or spoke no PROXY");
		return NULL;
	}
	caller->accepted = true;
	*s = (struct served){ .gate = gate, .stream = stream, .caller = caller };
	if (++gate->live > gate->streams_max)
		world_break(world, "more streams than streams_max");
	world->streams->opened++;
	world_trace(world, "  stream %p opens", (void *)s);
	if (below(world, 4) == 0)
		stream_act(world, s);
	return s;
}

static void on_data(void *user, struct kolk_stream *stream, const void *bytes, size_t size)
{
	struct served *s = user;
	struct world *world = s->gate->world;
	struct caller *c = s->caller;

	if (s->stream != stream || s->paused || s->closed || s->ended)
		world_break(world, "data of a stream that is paused, closed or at its end");
	if (c->heard + size > c->said || !fits(bytes, size, c->peer, c->heard, true))
		world_break(world, "a stream's bytes are lost, doubled or changed");
	c->heard += size;
	s->ended = size == 0;
	kolk__sim_record(world->sim, size);
	if (below(world, 3) == 0)
		stream_act(world, s);
}

static void on_end(void *user, struct kolk_stream *stream, enum kolk_err err)
{
	struct served *s = user;
	struct world *world = s->gate->world;

	if (s->stream != stream || s->sending)
		world_break(world, "a stream ended twice, or before its send");
	if (s->ends_well ? err != KOLK_OK : err == KOLK_OK && !s->closed)
		world_break(world, "a stream's end is not told as what it is");
	s->gate->live--;
	s->stream = NULL;
	s->caller->peer = 0;
	world->streams->closed++;
	kolk__sim_record(world->sim, (uint64_t)(int64_t)err);
	world_trace(world, "  stream %p ends: %s", (void *)s, kolk_err_name(err));
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct served *s = user;
	struct world *world = s->gate->world;

	if (!s->sending)
		world_break(world, "a send is told twice");
	s->sending = false;
	s->sent += size;
	kolk__sim_record(world->sim, size);
	if (err == KOLK_OK && below(world, 3) == 0) {
		stream_act(world, s);
		if (below(world, 2) == 0) /* as one who sends the last piece, and closes behind it */
			stream_act(world, s);
	}
}

static void send_some(struct world *world, struct served *s)
{
	size_t size = 1 + below(world, PIECE);
	enum kolk_err err;

	if (s->sending)
		return;
	fill(s->bytes, size, s->caller->peer, s->sent, false);
	err = kolk_stream_send(s->stream, &s->io, s->bytes, size, on_sent, s);
	s->sending = err == KOLK_PENDING;
	if (!s->sending && err != KOLK_E_CLOSED)
		world_break(world, "a send is refused without a reason");
}

static void stream_act(struct world *world, struct served *s)
{
	switch (below(world, 10)) {
	case 0:
		s->ends_well |= s->stream->state == KOLK__STREAM_OPEN && !s->sending;
		s->closed = true;
		kolk_stream_close(s->stream);
		break;
	case 1:
		s->ends_well |= s->stream->state != KOLK__STREAM_ENDING;
		s->closed = true;
		kolk_stream_reset(s->stream);
		break;
	case 2:
	case 3:
		s->paused = true;
		kolk_stream_pause(s->stream);
		break;
	case 4:
	case 5:
	case 6:
		s->paused = false;
		kolk_stream_resume(s->stream);
		break;
	default:
		send_some(world, s);
	}
}

static void any_stream_acts(struct world *world)
{
	struct served *s = &world->streams->served[below(world, SERVED)];

	for (int i = 0; i < SERVED && s->stream == NULL; i++)
		s = s == &world->streams->served[SERVED - 1] ? world->streams->served : s + 1;
	if (s->stream != NULL)
		stream_act(world, s);
}

/* ---- peers */

static void on_peer(void *user, uint64_t peer, uint16_t port, const uint8_t *bytes, size_t size)
{
	struct world *world = user;
	struct caller *c = caller_of(world, peer);

	(void)port;
	if (c == NULL)
		return;
	if (!fits(bytes, size, peer, c->got, false))
		world_break(world, "a peer's bytes are lost, doubled or changed");
	c->got += size;
}

/* No more than a socket holds is under way. */
static void caller_says(struct world *world, struct caller *c)
{
	size_t size = 1 + below(world, PIECE);
	uint8_t bytes[PIECE];

	if (c->peer == 0 || c->ended || c->said - c->heard + size + HEADER > SIM_RX)
		return;
	fill(bytes, size, c->peer, c->said, true);
	c->said += size;
	kolk__sim_peer_says(world->sim, c->peer, bytes, size);
}

static void dial(struct world *world, const struct gate *gate, struct caller *c, bool junk)
{
	*c = (struct caller){ .peer = kolk__sim_dial(world->sim, gate->port), .junk = junk };
	if (c->peer != 0 && gate->proxies)
		kolk__sim_peer_says(world->sim, c->peer, junk ? "GET / HTTP/1.1\r\n" : header,
				    HEADER);
}

static void caller_dials(struct world *world, struct caller *c)
{
	struct gate *gate = &world->streams->gates[below(world, LISTENERS)];

	if (c->peer != 0 && kolk__sim_connected(world->sim, c->peer))
		return;
	if (c->peer != 0) /* its stream's end is still to be told */
		for (int i = 0; i < SERVED; i++)
			if (world->streams->served[i].stream != NULL &&
			    world->streams->served[i].caller == c)
				return;
	dial(world, gate, c, gate->proxies && below(world, 8) == 0);
}

static void any_caller_acts(struct world *world)
{
	struct caller *c = &world->streams->callers[below(world, CALLERS)];

	switch (below(world, 12)) {
	case 0:
		if (c->peer != 0)
			kolk__sim_peer_ends(world->sim, c->peer, below(world, 3) == 0);
		c->ended = true;
		break;
	case 1:
	case 2:
	case 3:
	case 4:
		caller_dials(world, c);
		break;
	default:
		caller_says(world, c);
	}
}

/* ---- listeners */

static const struct kolk_stream_handler handler = {
	.size = sizeof(struct kolk_stream_handler), .open = on_open, .data = on_data, .end = on_end,
};

static uint64_t some_ms(struct world *world, uint64_t most)
{
	return (1 + below(world, most)) * KOLK_MS_NS;
}

static void gate_open(struct world *world, struct gate *gate)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	enum kolk_err err;

	gate->proxies = below(world, 3) == 0;
	gate->streams_max = 1 + (uint32_t)below(world, 8);
	o.address = gate->port == FIRST_PORT ? "0.0.0.0:7000" : "127.0.0.1:7001";
	o.streams_max = gate->streams_max;
	o.address_streams_max = (uint32_t)below(world, 4);
	o.proxy_protocol = gate->proxies;
	o.handshake_timeout_ns = some_ms(world, 3000);
	o.send_timeout_ns = some_ms(world, 3000);
	o.linger_timeout_ns = below(world, 4) != 0 ? some_ms(world, 3000) : KOLK_AT_ONCE;
	o.handler = &handler;
	o.user = gate;
	err = kolk_listen(world->engine, &o, &gate->listener);
	world_trace(world, "listen: %s", kolk_err_name(err));
	if (err != KOLK_OK && err != KOLK_E_MEMORY && err != KOLK_E_FILES)
		world_break(world, "a listener with sound options is refused");
	gate->closing = gate->stopped = false;
}

static void on_closed(void *user)
{
	struct gate *gate = user;

	if (gate->live != 0)
		world_break(gate->world, "a listener closed before its streams");
	gate->listener = NULL;
}

static void gate_close(struct world *world, struct gate *gate)
{
	uint64_t deadline_ns = kolk__sim_now(world->sim) + below(world, 2 * KOLK_S_NS);

	gate->closing = true;
	if (kolk_listener_close(gate->listener, deadline_ns, on_closed, gate) != KOLK_OK)
		world_break(world, "a listener does not close");
}

static void loops_change(struct world *world)
{
	uint32_t loops = 1 + (uint32_t)below(world, world->loops);
	enum kolk_err err = kolk_engine_loops_set(world->engine, loops);

	world_trace(world, "%u loops: %s", loops, kolk_err_name(err));
	if (err != KOLK_E_IO &&
	    (err != KOLK_OK || !kolk_loop_is_active(kolk_engine_loop(world->engine, loops - 1))))
		world_break(world, "the number of active loops does not change");
}

static void any_gate_acts(struct world *world)
{
	struct gate *gate = &world->streams->gates[below(world, LISTENERS)];
	uint64_t what = below(world, 40);

	if (gate->listener == NULL && gate->live == 0)
		gate_open(world, gate);
	else if (gate->listener == NULL || gate->closing)
		return;
	else if (what == 0 && (gate->stopped = true))
		kolk_listener_stop(gate->listener);
	else if (what == 1)
		gate_close(world, gate);
	else if (what <= 5)
		loops_change(world);
}

/* ---- as a whole */

bool streams_open(struct world *world)
{
	world->streams = calloc(1, sizeof *world->streams);
	if (world->streams == NULL)
		return false;
	for (int i = 0; i < LISTENERS; i++)
		world->streams->gates[i] = (struct gate){ .world = world,
							  .port = (uint16_t)(FIRST_PORT + i) };
	kolk__sim_diallers(world->sim, on_peer, world);
	return true;
}

void streams_act(struct world *world)
{
	switch (below(world, 8)) {
	case 0:
		any_gate_acts(world);
		break;
	case 1:
	case 2:
	case 3:
		any_stream_acts(world);
		break;
	default:
		any_caller_acts(world);
	}
}

/* Of a listener, NULL = of all; but for those of one peer. */
static void reset_all(struct world *world, const struct gate *gate, const struct caller *but)
{
	for (struct served *s = world->streams->served; s < world->streams->served + SERVED; s++)
		if (s->stream != NULL && (gate == NULL || s->gate == gate) && s->caller != but) {
			s->ends_well |= s->stream->state != KOLK__STREAM_ENDING;
			s->closed = true;
			kolk_stream_reset(s->stream);
		}
}

static bool has_stream(const struct world *world, const struct caller *c)
{
	for (const struct served *s = world->streams->served; s < world->streams->served + SERVED; s++)
		if (s->stream != NULL && s->caller == c)
			return true;
	return false;
}

static bool is_in_use(const struct world *world, const struct caller *c)
{
	return c->peer != 0 && (kolk__sim_connected(world->sim, c->peer) || has_stream(world, c));
}

/* With no fault left, a peer that dials is served in a while: others give way. It dials again where it
 * is refused: others of its address are there, or the queue is full. Its handler may end the stream in
 * the turn that shows it. */
static void must_accept(struct world *world, struct gate *gate)
{
	struct caller *c = world->streams->callers;

	for (int turn = 0; turn < 4000 && is_in_use(world, c); turn++) {
		reset_all(world, NULL, NULL);
		world_turn(world);
	}
	if (is_in_use(world, c))
		world_break(world, "nothing fails any more, but a stream that was reset does not end");
	*c = (struct caller){ 0 };
	for (int turn = 0; turn < 4000 && !c->accepted; turn++) {
		if (c->peer == 0 || !kolk__sim_connected(world->sim, c->peer))
			dial(world, gate, c, false);
		reset_all(world, gate, c);
		world_turn(world);
	}
	if (!c->accepted)
		world_break(world, "nothing fails any more, but a peer that dials is not served");
}

void streams_serve(struct world *world)
{
	for (int i = 0; i < LISTENERS; i++) {
		struct gate *gate = &world->streams->gates[i];

		if (gate->listener != NULL && !gate->stopped && !gate->closing)
			must_accept(world, gate);
	}
}

uint64_t streams_opened(const struct world *world)
{
	return world->streams->opened;
}

/* Some listeners are left to the engine, with what is open. */
void streams_close(struct world *world)
{
	for (int i = 0; i < LISTENERS; i++) {
		struct gate *gate = &world->streams->gates[i];

		if (gate->listener == NULL || below(world, 2) == 0)
			continue;
		if (!gate->closing)
			gate_close(world, gate);
		for (int turn = 0; turn < 20000 && gate->listener != NULL; turn++)
			world_turn(world);
		if (gate->listener != NULL)
			world_break(world, "a listener does not end");
	}
}

void streams_free(struct world *world)
{
	if (world->streams->opened != world->streams->closed)
		world_break(world, "a stream's end was not told");
	for (int i = 0; i < LISTENERS; i++)
		if (world->streams->gates[i].closing && world->streams->gates[i].listener != NULL)
			world_break(world, "a listener's end was not told");
}
