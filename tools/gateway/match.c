/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.c - which route a request takes.
 *
 * Hosts are found by the hash of their name, wildcards by that of each end of a name. Routes of a host are
 * found by the hash of each beginning of the path, as gw_path_match reads it. A hash only finds: the texts
 * decide. Both are the operator's, who can only slow down his own gateway by names of one hash.
 */
#include "tools/gateway/match.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/ascii.h"
#include "tools/gateway/fnv.h"
#include "tools/gateway/path.h"
#include "tools/gateway/route.h"

/* ---- the order of trial */

static bool is_wildcard(const struct gw_route *route)
{
	return route->host != NULL && strncmp(route->host, "*.", 2) == 0;
}

/* 2 = an exact host, 1 = a wildcard, 0 = any. */
static int host_rank(const struct gw_route *route)
{
	return route->host == NULL ? 0 : is_wildcard(route) ? 1 : 2;
}

static int descending(size_t a, size_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

static int by_trial(const void *left, const void *right)
{
	const struct gw_target *a = left, *b = right;
	int ranks = host_rank(b->route) - host_rank(a->route), order;

	if (ranks != 0)
		return ranks;
	order = is_wildcard(a->route) ? descending(a->host_size, b->host_size) : 0;
	if (order == 0)
		order = descending(a->path_size, b->path_size);
	return order != 0 ? order : descending(b->route->index, a->route->index);
}

/* ---- the table */

enum { LABELS_MAX = 256 }; /* a name has fewer bytes */

/* The hash of a name, from its end; and of each end of it that begins with a dot, as ".test" and
 * ".a.test" of "x.a.test", up to *count of them, which becomes how many there are. */
static uint64_t hash_ends(const char *name, size_t size, uint64_t ends[LABELS_MAX], uint32_t *count)
{
	uint64_t hash = GW_FNV_BEGIN;
	uint32_t max = *count;

	*count = 0;
	while (size-- > 0) {
		hash = gw_fnv_add(hash, kolk__lower(name[size]));
		if (name[size] == '.' && *count < max)
			ends[(*count)++] = hash;
	}
	return hash;
}

/* The hash of a route's host; labels: of a wildcard, how many; 0 = it is none. */
static uint64_t hash_host(const struct gw_target *target, uint32_t *labels)
{
	const bool wildcard = is_wildcard(target->route);
	uint64_t ends[LABELS_MAX];

	*labels = wildcard ? LABELS_MAX : 0;
	return hash_ends(target->route->host + wildcard, target->host_size - wildcard, ends, labels);
}

/* Found, or the next that is free. */
static struct gw_match_host *host_of(struct gw_match *match, const struct gw_target *target)
{
	struct gw_match_host *host, **bucket;
	uint32_t labels;
	uint64_t hash;

	if (target->route->host == NULL)
		return &match->hosts[0];
	hash = hash_host(target, &labels);
	bucket = &match->by_host[hash & match->mask];
	for (host = *bucket; host != NULL; host = host->next)
		if (host->hash == hash && strcmp(host->one->route->host, target->route->host) == 0)
			return host;
	host = &match->hosts[1 + match->named++];
	*host = (struct gw_match_host){ .next = *bucket, .hash = hash, .labels = labels };
	if (labels > match->labels)
		match->labels = labels;
	*bucket = host;
	return host;
}

static void add_target(struct gw_match *match, struct gw_target *target)
{
	struct gw_match_host *host = host_of(match, target);
	struct gw_path_segments segments;
	const struct gw_target **at = &host->first;
	uint32_t count = 0;

	host->one = target;
	target->host = host;
	target->path_hash = host->hash;
	if (target->path_size > 0) {
		gw_path_segments_begin(&segments, target->route->path);
		while (gw_path_segment_hash(&segments, &target->path_hash))
			count++;
		at = &match->by_path[target->path_hash & match->mask];
	}
	if (count > host->segments)
		host->segments = count;
	target->next = *at;
	*at = target;
}

bool gw_match_make(struct gw_match *match, struct gw_target *targets, uint32_t count)
{
	uint32_t buckets = 1;

	qsort(targets, count, sizeof *targets, by_trial);
	while (buckets < 2 * count)
		buckets *= 2;
	match->mask = buckets - 1;
	match->hosts = calloc(count + 1, sizeof *match->hosts);
	match->by_host = calloc(buckets, sizeof *match->by_host);
	match->by_path = calloc(buckets, sizeof *match->by_path);
	if (match->hosts == NULL || match->by_host == NULL || match->by_path == NULL)
		return false;
	for (uint32_t i = count; i-- > 0;) /* what is added last is tried first */
		add_target(match, &targets[i]);
	return true;
}

void gw_match_free(struct gw_match *match)
{
	free(match->hosts);
	free(match->by_host);
	free(match->by_path);
}

/* ---- what matches */

/* An authority without its port, and without the dot of the root: "a.test." is "a.test". */
struct host_name {
	const char *text;
	size_t size;
};

static struct host_name host_name(const char *authority)
{
	const char *bracket = strrchr(authority, ']');
	const char *colon = strchr(bracket != NULL ? bracket : authority, ':');
	size_t size = colon != NULL ? (size_t)(colon - authority) : strlen(authority);

	size -= size > 0 && authority[size - 1] == '.';
	return (struct host_name){ authority, size };
}

static bool host_matches(const struct gw_target *target, struct host_name name)
{
	const char *host = target->route->host;
	size_t wanted = target->host_size;

	if (host == NULL)
		return true;
	if (!is_wildcard(target->route))
		return name.size == wanted && strncasecmp(name.text, host, wanted) == 0;
	wanted -= 1; /* ".name" */
	return name.size > wanted &&
	       strncasecmp(name.text + name.size - wanted, host + 1, wanted) == 0;
}

static bool path_matches(const struct gw_target *target, const char *path, bool literal)
{
	char next;

	if (target->path_size == 0)
		return true;
	if (!literal || !target->path_literal)
		return gw_path_match(target->route->path, target->path_size, path) !=
		       GW_PATH_NO_MATCH;
	if (strncmp(path, target->route->path, target->path_size) != 0)
		return false;
	next = path[target->path_size];
	return next == '\0' || next == '/' || next == '?';
}

static bool method_matches(const struct gw_route *route, const char *method)
{
	for (const char *const *wanted = route->methods; wanted != NULL; wanted++) {
		if (*wanted == NULL)
			return false;
		if (strcmp(*wanted, method) == 0)
			return true;
	}
	return true;
}

static bool header_matches(const struct gw_route *route, const struct kolk_http_request_head *head)
{
	if (route->header_name == NULL)
		return true;
	for (uint32_t i = 0; i < head->field_count; i++)
		if (strcmp(head->fields[i].name, route->header_name) == 0 &&
		    (route->header_value == NULL ||
		     strcmp(head->fields[i].value, route->header_value) == 0))
			return true;
	return false;
}

const char *gw_preflight_method(const struct kolk_http_request_head *head)
{
	if (strcmp(head->method, "OPTIONS") != 0 ||
	    kolk_http_field(head->fields, head->field_count, "origin") == NULL)
		return NULL;
	return kolk_http_field(head->fields, head->field_count, "access-control-request-method");
}

/* What remains when host and path fit. */
static bool takes(const struct gw_target *target, const struct kolk_http_request_head *head)
{
	const struct gw_route *route = target->route;
	const char *preflight = route->cors_origins != NULL ? gw_preflight_method(head) : NULL;

	return method_matches(route, preflight != NULL ? preflight : head->method) &&
	       (preflight != NULL || header_matches(route, head));
}

static const struct gw_target *find_pathless(const struct gw_match_host *host,
					     const struct kolk_http_request_head *head)
{
	const struct gw_target *target = host->first;

	while (target != NULL && !takes(target, head))
		target = target->next;
	return target;
}

/* The longest path: what is found later is longer. */
static const struct gw_target *find_of_host(const struct gw_match *match,
					    const struct gw_match_host *host,
					    const struct kolk_http_request_head *head)
{
	const struct gw_target *found = find_pathless(host, head), *target;
	bool literal = host->segments > 0 && gw_path_is_literal(head->target);
	struct gw_path_segments segments;
	uint64_t hash = host->hash;

	if (host->segments > 0)
		gw_path_segments_begin(&segments, head->target);
	for (uint32_t i = 0; i < host->segments && gw_path_segment_hash(&segments, &hash); i++) {
		target = match->by_path[hash & match->mask];
		while (target != NULL && !(target->path_hash == hash && target->host == host &&
					   path_matches(target, head->target, literal) &&
					   takes(target, head)))
			target = target->next;
		found = target != NULL ? target : found;
	}
	return found;
}

/* labels: 0 = the name itself, no wildcard. */
static const struct gw_match_host *find_host(const struct gw_match *match, uint64_t hash, uint32_t labels,
					     struct host_name name)
{
	const struct gw_match_host *host = match->by_host[hash & match->mask];

	while (host != NULL && !(host->hash == hash && host->labels == labels &&
				 host_matches(host->one, name)))
		host = host->next;
	return host;
}

/* By its name: this one alone, or a wildcard, the longest first. */
static const struct gw_target *find_by_name(const struct gw_match *match,
					    const struct kolk_http_request_head *head)
{
	const struct host_name name = host_name(head->authority);
	uint64_t ends[LABELS_MAX], hash;
	uint32_t labels = match->labels;
	const struct gw_match_host *host;
	const struct gw_target *found;

	hash = hash_ends(name.text, name.size, ends, &labels);
	host = find_host(match, hash, 0, name);
	found = host != NULL ? find_of_host(match, host, head) : NULL;
	for (; found == NULL && labels > 0; labels--) {
		host = find_host(match, ends[labels - 1], labels, name);
		found = host != NULL ? find_of_host(match, host, head) : NULL;
	}
	return found;
}

const struct gw_target *gw_view_find(const struct gw_view *view,
				     const struct kolk_http_request_head *head)
{
	const struct gw_match *match = &view->match;
	const struct gw_target *found = match->named > 0 ? find_by_name(match, head) : NULL;

	return found != NULL ? found : find_of_host(match, &match->hosts[0], head);
}

const struct gw_target *gw_view_find_metadata(const struct gw_view *view,
					      const struct kolk_http_request_head *head)
{
	const size_t prefix = sizeof GW_METADATA_PATH - 1;
	struct host_name name;
	size_t size;

	if (strncmp(head->target, GW_METADATA_PATH, prefix) != 0)
		return NULL;
	name = host_name(head->authority);
	size = strcspn(head->target, "?");
	for (uint32_t i = 0; i < view->config->route_count; i++) {
		const struct gw_target *target = &view->targets[i];
		const char *path = target->route->access.metadata_path;

		if (path != NULL && strlen(path) == size && memcmp(path, head->target, size) == 0 &&
		    host_matches(target, name))
			return target;
	}
	return NULL;
}
