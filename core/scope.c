/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.c - what a request took is given back when it ends.
 *
 * Leases are values, copied by their callers, so they cannot be links of a list: a scope has an
 * array of them, and looks whether they are held. A lease that was released by its caller is found
 * by its generation and passed over; its place is used again when there is no other. The array
 * grows only if more than half of it is held, so that looking through it costs each acquire a
 * constant.
 */
#include <kolk/scope.h>

#include <string.h>

#include "core/pool.h"
#include "core/release.h"

struct scope {
	struct kolk_lease inside[KOLK_SCOPE_INSIDE];
	struct kolk_lease *leases; /* inside, or the engine's memory */
	struct kolk_engine *engine; /* whose memory; NULL = inside */
	struct kolk_scope_item *items; /* the last one added first */
	struct kolk_scope_item *left; /* at the end: those that could not be ended now */
	/* count + pending <= capacity: a pending acquire has a place for its lease. */
	uint32_t count, pending, capacity;
};
_Static_assert(sizeof(struct scope) <= sizeof(struct kolk_scope), "kolk_scope is too small");

static struct scope *scope_of(struct kolk_scope *scope)
{
	return (struct scope *)(void *)scope;
}

void kolk_scope_begin(struct kolk_scope *scope)
{
	struct scope *own = scope_of(scope);

	own->leases = own->inside;
	own->engine = NULL;
	own->items = own->left = NULL;
	own->count = own->pending = 0;
	own->capacity = KOLK_SCOPE_INSIDE;
}

/* ---- leases */

static void drop_ended(struct scope *scope)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < scope->count; i++)
		if (kolk__lease_is_held(&scope->leases[i]))
			scope->leases[kept++] = scope->leases[i];
	scope->count = kept;
}

static void free_leases(struct scope *scope)
{
	if (scope->engine != NULL)
		kolk__deallocate(scope->engine, scope->leases,
				 scope->capacity * sizeof *scope->leases);
	scope->leases = scope->inside;
	scope->engine = NULL;
	scope->capacity = KOLK_SCOPE_INSIDE;
}

static bool grow(struct scope *scope, struct kolk_engine *engine)
{
	uint32_t capacity = 2 * scope->capacity, count = scope->count;
	struct kolk_lease *leases = kolk__allocate(engine, capacity * sizeof *leases);

	if (leases == NULL)
		return false;
	memcpy(leases, scope->leases, count * sizeof *leases);
	free_leases(scope);
	scope->leases = leases;
	scope->engine = engine;
	scope->capacity = capacity;
	return true;
}

/* No place is left. */
static KOLK_COLD bool make_place(struct scope *scope, struct kolk_engine *engine)
{
	drop_ended(scope);
	return scope->count + scope->pending <= scope->capacity / 2 || grow(scope, engine) ||
	       scope->count + scope->pending < scope->capacity;
}

static bool has_place(struct scope *scope, struct kolk_engine *engine)
{
	return KOLK_LIKELY(scope->count + scope->pending < scope->capacity) ||
	       make_place(scope, engine);
}

enum kolk_err kolk_scope_acquire(struct kolk_scope *scope, struct kolk_key *key,
				 uint64_t deadline_ns, struct kolk_lease *lease)
{
	struct scope *own = scope_of(scope);
	enum kolk_err err;

	if (!has_place(own, key->engine))
		return KOLK_E_MEMORY;
	err = kolk_acquire(key, deadline_ns, lease);
	if (err == KOLK_OK)
		own->leases[own->count++] = *lease;
	return err;
}

enum kolk_err kolk_scope_add(struct kolk_scope *scope, const struct kolk_lease *lease)
{
	struct scope *own = scope_of(scope);
	const struct kolk__conn *conn = lease->connection;

	if (!kolk__lease_is_held(lease))
		return KOLK_E_LEASE_STALE;
	if (!has_place(own, kolk__load_relaxed(&conn->key)->engine))
		return KOLK_E_MEMORY;
	own->leases[own->count++] = *lease;
	return KOLK_OK;
}

enum kolk_err kolk_scope_remove(struct kolk_scope *scope, const struct kolk_lease *lease)
{
	struct scope *own = scope_of(scope);

	for (uint32_t i = 0; i < own->count; i++)
		if (own->leases[i].connection == lease->connection &&
		    own->leases[i].ticket == lease->ticket) {
			own->leases[i] = own->leases[--own->count];
			return KOLK_OK;
		}
	return KOLK_E_NOT_FOUND;
}

/* ---- items */

static void put(struct kolk_scope_item **list, struct kolk_scope_item *item)
{
	item->next = *list;
	item->previous = NULL;
	if (item->next != NULL)
		item->next->previous = item;
	*list = item;
}

void kolk_scope_add_item(struct kolk_scope *scope, struct kolk_scope_item *item,
			 kolk_scope_end_fn *end, void *user)
{
	*item = (struct kolk_scope_item){ .scope = scope, .end = end, .user = user };
	put(&scope_of(scope)->items, item);
}

void kolk_scope_remove_item(struct kolk_scope_item *item)
{
	struct scope *own;

	if (item->scope == NULL)
		return;
	own = scope_of(item->scope);
	if (item->next != NULL)
		item->next->previous = item->previous;
	if (item->previous != NULL)
		item->previous->next = item->next;
	else if (own->items == item)
		own->items = item->next;
	else
		own->left = item->next;
	item->scope = NULL;
}

/* ---- acquires that are pending */

/* It is not pending any more: its place is free again. */
static void leave(struct kolk_scope_acquire *acquire)
{
	scope_of(acquire->item.scope)->pending--;
	kolk_scope_remove_item(&acquire->item);
}

static void on_acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct kolk_scope_acquire *acquire = user;
	struct scope *scope = scope_of(acquire->item.scope);

	leave(acquire);
	if (err == KOLK_OK)
		scope->leases[scope->count++] = *lease;
	acquire->callback(acquire->user, err, lease);
}

/* The item has left already; it comes back if this fails. */
static enum kolk_err cancel_pending(void *user, enum kolk_scope_outcome outcome)
{
	struct kolk_scope_acquire *acquire = user;

	(void)outcome;
	return kolk_acquire_cancel(&acquire->acquire);
}

enum kolk_err kolk_scope_acquire_async(struct kolk_scope *scope, struct kolk_loop *loop,
				       struct kolk_key *key, uint64_t deadline_ns,
				       struct kolk_scope_acquire *acquire,
				       kolk_acquired_fn *callback, void *user)
{
	struct scope *own = scope_of(scope);
	enum kolk_err err;

	acquire->item.scope = NULL;
	if (!has_place(own, key->engine))
		return KOLK_E_MEMORY;
	acquire->callback = callback;
	acquire->user = user;
	err = kolk_acquire_async(loop, key, deadline_ns, &acquire->acquire, on_acquired, acquire);
	if (err == KOLK_OK)
		own->leases[own->count++] = acquire->acquire.lease;
	if (err != KOLK_PENDING)
		return err;
	own->pending++;
	kolk_scope_add_item(scope, &acquire->item, cancel_pending, acquire);
	return err;
}

enum kolk_err kolk_scope_acquire_cancel(struct kolk_scope_acquire *acquire)
{
	enum kolk_err err = acquire->item.scope != NULL ? kolk_acquire_cancel(&acquire->acquire) :
							  KOLK_E_NOT_FOUND;

	if (err == KOLK_OK)
		leave(acquire);
	return err;
}

/* ---- the end */

/* What cannot be ended now is in the list again, in its order. Until then it is in the scope, too:
 * the end of another item may remove and free it. */
static enum kolk_err end_items(struct kolk_scope *scope, enum kolk_scope_outcome outcome)
{
	struct scope *own = scope_of(scope);
	struct kolk_scope_item *item;
	enum kolk_err first = KOLK_OK;

	while ((item = own->items) != NULL) { /* each once */
		bool was_pending = item->end == cancel_pending;
		enum kolk_err err;

		kolk_scope_remove_item(item);
		err = item->end(item->user, outcome); /* KOLK_OK: the item may be freed */
		if (err == KOLK_OK) {
			own->pending -= was_pending ? 1 : 0;
			continue;
		}
		item->scope = scope;
		put(&own->left, item);
		if (first == KOLK_OK)
			first = err;
	}
	while ((item = own->left) != NULL) {
		kolk_scope_remove_item(item);
		kolk_scope_add_item(scope, item, item->end, item->user);
	}
	return first;
}

/* A lease that is held no more has ended by itself, or a drain revoked it. */
static enum kolk_err give_back(struct kolk_lease *lease, enum kolk_scope_outcome outcome)
{
	enum kolk_err err;

	if (!kolk__lease_is_held(lease))
		return KOLK_OK;
	err = outcome == KOLK_SCOPE_RELEASE ? kolk_release(lease) : kolk_discard(lease);
	return err == KOLK_E_LEASE_STALE ? KOLK_OK : err;
}

static enum kolk_err end_leases(struct scope *scope, enum kolk_scope_outcome outcome)
{
	enum kolk_err first = KOLK_OK;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < scope->count; i++) {
		enum kolk_err err = give_back(&scope->leases[i], outcome);

		if (err == KOLK_OK)
			continue;
		scope->leases[kept++] = scope->leases[i];
		if (first == KOLK_OK)
			first = err;
	}
	scope->count = kept;
	return first;
}

enum kolk_err kolk_scope_end(struct kolk_scope *scope, enum kolk_scope_outcome outcome)
{
	struct scope *own = scope_of(scope);
	enum kolk_err items = end_items(scope, outcome), leases = end_leases(own, outcome);

	if (own->count + own->pending == 0)
		free_leases(own);
	return items != KOLK_OK ? items : leases;
}
