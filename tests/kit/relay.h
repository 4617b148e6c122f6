/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - a bad network between a client and a real server: delays, cuts, black holes, single bytes.
 *
 * What happens to which connection at which byte follows from the seed and the number of the
 * connection; when, from the machine.
 */
#ifndef KOLK_KIT_RELAY_H
#define KOLK_KIT_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Chances are per mille. A connection gets at most one of the first four, in one direction, at a
 * byte that is drawn uniformly from 0 .. within_bytes; the last two are drawn for each piece of
 * data. */
struct kit_relay_faults {
	uint32_t refuse; /* accepted and reset at once */
	uint32_t cut;    /* FIN to both */
	uint32_t reset;  /* RST to both */
	uint32_t stall;  /* from here no byte passes either way, and neither side is closed */
	uint32_t within_bytes; /* 0 = 4096 */
	uint32_t delay;
	uint32_t delay_us; /* at most; 0 = 2000 */
	uint32_t split;    /* goes on in pieces of 1 to 7 bytes */
	/* Not random: a connection that is silent for so long is closed, by FIN, or RST with
	 * idle_reset. */
	uint32_t idle_us;  /* 0 = never */
	bool idle_reset;
};

struct kit_relay_options {
	const char *target; /* "127.0.0.1:PORT" or "unix:/PATH" */
	uint64_t seed;
	struct kit_relay_faults faults; /* all 0 = a good network */
};

struct kit_relay_counts {
	uint64_t connections, refused, cut, reset, stalled, delayed, split, idled;
	uint64_t bytes_to_server, bytes_to_client;
	uint32_t open;
};

struct kit_relay;

struct kit_relay *kit_relay_open(const struct kit_relay_options *options);
void kit_relay_close(struct kit_relay *relay); /* NULL = nothing */
const char *kit_relay_address(const struct kit_relay *relay); /* "127.0.0.1:PORT" */
struct kit_relay_counts kit_relay_counts(struct kit_relay *relay);

/* For connections from now on. */
void kit_relay_faults(struct kit_relay *relay, const struct kit_relay_faults *faults);
/* Stop or resume all traffic, also of connections that are accepted meanwhile. */
void kit_relay_stall(struct kit_relay *relay, bool stalled);
/* Say this to every client that is connected, as if the server had. When it returns, all have it.
 * Returns how many there were. For connections that nothing passes through at the moment. */
uint32_t kit_relay_say(struct kit_relay *relay, const void *data, size_t size);
/* End all that are open, by FIN or RST. */
void kit_relay_hang_up(struct kit_relay *relay, bool reset);

#endif
