/* SPDX-License-Identifier: Apache-2.0 */
/* trip_tls.c - the round trips on bare mbedTLS: blocking sockets, all requests, all answers. */
#include <stdlib.h>
#include <string.h>

#include "bench/bare_tls.h"
#include "bench/trip.h"

void trip_bare_tls(struct trip *trip)
{
	struct bare_lane *lanes = calloc(trip->connections, sizeof *lanes);
	unsigned char *bytes = malloc(trip->size), *answer = malloc(trip->size);
	struct bare bare;
	bool going = true;

	memset(bytes, 'x', trip->size);
	bytes[trip->size - 1] = '\n';
	bare_open(&bare, trip->authority);
	for (uint32_t i = 0; i < trip->connections; i++)
		bare_lane_open(&lanes[i], &bare, trip->port, NULL);
	trip_begin(trip);
	while (going) {
		for (uint32_t i = 0; i < trip->connections; i++) {
			lanes[i].sent_ns = clock_now();
			bare_lane_write(&lanes[i], bytes, trip->size);
		}
		for (uint32_t i = 0; i < trip->connections; i++) {
			(void)bare_lane_read(&lanes[i], answer, trip->size);
			going = trip_done(trip, lanes[i].sent_ns) != 0 && going;
		}
	}
	trip_end(trip);
	for (uint32_t i = 0; i < trip->connections; i++)
		bare_lane_close(&lanes[i]);
	bare_close(&bare);
	free(lanes);
	free(bytes);
	free(answer);
}
