/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.h - routes by host and path: what a look-up costs grows with the request's host and path, not
 * with how many routes there are. Routes of one host and one path are tried one after the other.
 */
#ifndef KOLK_GATEWAY_MATCH_H
#define KOLK_GATEWAY_MATCH_H

#include <stdbool.h>
#include <stdint.h>

struct gw_target;

/* The routes of one host, of one wildcard, or of any host. */
struct gw_match_host {
	struct gw_match_host *next; /* in its bucket */
	const struct gw_target *first; /* those without a path, in the order of trial */
	const struct gw_target *one;   /* of them: whose host it is */
	uint64_t hash;
	uint32_t labels;           /* of a wildcard; 0 = it is none */
	uint32_t segments;         /* of its longest path */
};

struct gw_match {
	struct gw_match_host *hosts; /* the first is "any" */
	struct gw_match_host **by_host;
	const struct gw_target **by_path;
	uint32_t mask;             /* of both; how many buckets there are, less one */
	uint32_t named;            /* hosts without the first: those in by_host */
	uint32_t labels;           /* of the longest wildcard */
};

/* Sort targets in the order of trial; they stay where they are from here on. False = no memory: free what
 * there is. */
bool gw_match_make(struct gw_match *match, struct gw_target *targets, uint32_t count);
void gw_match_free(struct gw_match *match);

#endif
