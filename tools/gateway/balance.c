/* SPDX-License-Identifier: Apache-2.0 */
/* balance.c - which of several servers a request goes to. */
#include "tools/gateway/balance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/fnv.h"

/* ---- hashes: the same in every gateway, so without a secret */

/* FNV-1a, then the finish of SplitMix64, as FNV leaves the high bits of short texts alike. */
static uint64_t mix(uint64_t hash)
{
	hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
	return hash ^ hash >> 31;
}

static uint64_t hash_of(const char *text, size_t size)
{
	uint64_t hash = GW_FNV_BEGIN;

	for (size_t i = 0; i < size; i++)
		hash = gw_fnv_add(hash, text[i]);
	return mix(hash);
}

/* xorshift64. */
static uint32_t random_below(uint64_t *state, uint32_t bound)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)((*state >> 32) * bound >> 32);
}

/* ---- balancers */

bool gw_balancer_add(struct gw_balancer *balancer, const struct gw_member_options *options,
		     const char *name, struct kolk_pool *pool)
{
	struct gw_member *grown = NULL;
	struct gw_load *load = NULL;

	if (balancer->count < GW_BALANCED_MAX)
		grown = realloc(balancer->members, (balancer->count + 1) * sizeof *grown);
	if (grown != NULL) {
		balancer->members = grown;
		load = gw_load_open(balancer->options->name, name, options->host);
	}
	if (load == NULL)
		return false;
	grown[balancer->count++] = (struct gw_member){
		.load = load, .pool = pool, .name = load->pool, .options = options,
		.hash = hash_of(name, strlen(name)),
		.weight = options->weight != 0 ? options->weight : 1,
	};
	return true;
}

static bool make(struct gw_balancer *balancer, const struct gw_balancer_options *options)
{
	const struct gw_member_options *given = options->members.items;
	bool ok = true;

	balancer->options = options;
	for (uint32_t i = 0; i < options->members.count; i++)
		if (given[i].resolve == GW_RESOLVE_NONE)
			ok = ok && gw_balancer_add(balancer, &given[i], given[i].pool, NULL);
	return ok;
}

struct gw_balancer *gw_balancers_make(const struct gw_config *config)
{
	struct gw_balancer *made = calloc(config->balancer_count + 1, sizeof *made);
	bool ok = made != NULL;

	for (uint32_t i = 0; ok && i < config->balancer_count; i++)
		ok = make(&made[i], &config->balancers[i]);
	if (ok)
		return made;
	gw_balancers_free(made, config);
	return NULL;
}

void gw_balancers_bind(struct gw_balancer *balancers, const struct gw_config *config,
		       struct kolk_engine *engine)
{
	for (uint32_t i = 0; i < config->balancer_count; i++)
		for (uint32_t j = 0; j < balancers[i].count; j++) {
			struct gw_member *member = &balancers[i].members[j];

			if (member->options->resolve == GW_RESOLVE_NONE)
				member->pool = kolk_pool_find(engine, member->name);
			gw_load_bind(member->load, member->weight);
		}
	gw_load_bound();
}

void gw_balancers_free(struct gw_balancer *balancers, const struct gw_config *config)
{
	for (uint32_t i = 0; balancers != NULL && i < config->balancer_count; i++) {
		struct gw_member *members = balancers[i].members;

		for (uint32_t j = 0; j < balancers[i].count; j++)
			gw_load_close(members[j].load);
		free(members);
	}
	free(balancers);
}

bool gw_balancer_has(const struct gw_balancer *balancer, const struct kolk_pool *pool)
{
	for (uint32_t i = 0; i < balancer->count; i++)
		if (balancer->members[i].pool == pool)
			return true;
	return false;
}

/* ---- who may be chosen */

_Static_assert(GW_BALANCED_MAX <= UINT8_MAX + 1, "a byte says which");

/* Members that may be chosen, and the sum of their weights. */
struct field {
	const struct gw_member *members;
	uint32_t count, weight;
	uint8_t at[GW_BALANCED_MAX]; /* the first `count` are set */
};

static const struct gw_member *member_of(const struct field *field, uint32_t i)
{
	return &field->members[field->at[i]];
}

static bool is_out(const struct gw_member *member)
{
	return kolk__load_relaxed(&member->load->down) || kolk_pool_refuses(member->pool);
}

static void field_make(struct field *field, const struct gw_balancer *balancer,
		       const struct gw_member *except, bool all)
{
	field->members = balancer->members;
	field->count = field->weight = 0;
	for (uint32_t i = 0; i < balancer->count; i++) {
		const struct gw_member *member = &balancer->members[i];

		if (member == except || member->pool == NULL || (!all && is_out(member)))
			continue;
		field->at[field->count++] = (uint8_t)i;
		field->weight += member->weight;
	}
}

/* ---- least_in_flight */

/* By weight; not this one. */
static const struct gw_member *draw(const struct field *field, const struct gw_member *except,
				    uint64_t *random)
{
	uint32_t weight = field->weight - (except != NULL ? except->weight : 0);
	uint32_t at = random_below(random, weight);
	const struct gw_member *member = NULL;

	for (uint32_t i = 0; i < field->count; i++) {
		member = member_of(field, i);
		if (member == except)
			continue;
		if (at < member->weight)
			break;
		at -= member->weight;
	}
	return member;
}

static uint64_t in_flight_of(const struct gw_member *member)
{
	return kolk__load_relaxed(&member->load->in_flight);
}

static const struct gw_member *least_in_flight(const struct field *field, uint64_t *random)
{
	const struct gw_member *one = draw(field, NULL, random), *other;

	if (field->count == 1)
		return one;
	other = draw(field, one, random);
	return in_flight_of(one) * other->weight <= in_flight_of(other) * one->weight ? one : other;
}

/* ---- hash */

/* More than its share, with the request that is to come: in_flight + 1 > 5/4 (all + 1) weight / sum. */
static bool is_full(const struct field *field, const struct gw_member *member, uint64_t all)
{
	uint64_t in_flight = in_flight_of(member);

	return in_flight >= GW_BOUND_MIN &&
	       (in_flight + 1) * 4 * field->weight > 5 * (all + 1) * member->weight;
}

/* Its draw for the key: exponentially distributed, the faster the heavier; the least one wins. */
static double draw_of(const struct gw_member *member, uint64_t key)
{
	double uniform = ((double)(mix(key ^ member->hash) >> 11) + 0.5) * 0x1p-53;

	return -log(uniform) / member->weight;
}

static const struct gw_member *by_hash(const struct field *field, uint64_t key)
{
	const struct gw_member *best = NULL, *free_best = NULL;
	double least = INFINITY, free_least = INFINITY;
	uint64_t all = 0;

	for (uint32_t i = 0; i < field->count; i++)
		all += in_flight_of(member_of(field, i));
	for (uint32_t i = 0; i < field->count; i++) {
		const struct gw_member *member = member_of(field, i);
		double drawn = draw_of(member, key);

		if (drawn < least)
			least = drawn, best = member;
		if (drawn < free_least && !is_full(field, member, all))
			free_least = drawn, free_best = member;
	}
	return free_best != NULL ? free_best : best; /* numbers move while they are read */
}

const struct gw_member *gw_balancer_choose(const struct gw_balancer *balancer,
					   const struct gw_choice *choice)
{
	struct field field;

	field_make(&field, balancer, choice->except, false);
	if (field.count == 0 && choice->except != NULL && !is_out(choice->except))
		return choice->except;
	if (field.count == 0)
		field_make(&field, balancer, choice->except, true);
	if (field.count == 0)
		return choice->except;
	if (balancer->options->policy == GW_BALANCE_HASH && choice->key != NULL)
		return by_hash(&field, hash_of(choice->key, choice->key_size));
	return least_in_flight(&field, choice->random);
}
