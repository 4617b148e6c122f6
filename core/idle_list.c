/* SPDX-License-Identifier: Apache-2.0 */
/* idle_list.c - tokens are put and taken (idle_list.h). */
#include "core/idle_list.h"

#include "core/base/ring.h"
#include "core/engine.h"

enum { RECENT = 8, STACK = 63 /* its mark */ };

struct lane {
	struct kolk__ring ring;
	/* W, R: anyone, by exchange. A token + 1; 0 = none. */
	kolk__atomic_u32 recent[RECENT];
	/* W: the thread that gets it by one try. Means: 1 = the ring has its producer. */
	kolk__atomic_u32 producer;
	uint32_t *buffer;         /* constant: of the ring */
} __attribute__((aligned(KOLK_CACHE_LINE)));

struct kolk__idle_list {
	/* W: anyone, by or and and. Pairs: MARK. Means: a lane, or the stack, may hold tokens. */
	kolk__atomic_u64 filled;
	uint32_t lanes;           /* constant, a power of two */
	uint32_t capacity;        /* constant */
	kolk__atomic_u32 *below;  /* constant: of the stack, by token: the one below it */
	size_t size;              /* constant: bytes of all of it */
	/* Tokens whose ring had another producer or was full. W: anyone, by compare-and-swap.
	 * Means: the number of changes, so that a pop fails after others (ABA), and the top
	 * token + 1. */
	kolk__atomic_u64 stack __attribute__((aligned(KOLK_CACHE_LINE)));
	struct lane lane[];
};

/* Threads in the order in which they came. relaxed: only a number. */
static kolk__atomic_u32 threads;
static _Thread_local uint32_t this_thread __attribute__((tls_model("initial-exec")));

static uint32_t own_lane(const struct kolk__idle_list *list)
{
	if (KOLK_UNLIKELY(this_thread == 0))
		this_thread = (kolk__add_relaxed(&threads, 1) + 1) | 1u << 31;
	return this_thread & (list->lanes - 1);
}

static uint32_t lanes_for(const struct kolk_engine *engine, uint32_t capacity)
{
	uint32_t lanes = 1;

	while (lanes * 2 <= engine->sys->cpu_count && lanes * 2 <= KOLK__LANES_MAX &&
	       lanes * 2 * KOLK__LANE_MIN <= capacity)
		lanes *= 2;
	return lanes;
}

struct kolk__idle_list *kolk__idle_list_new(struct kolk_engine *engine, uint32_t capacity)
{
	uint32_t lanes = lanes_for(engine, capacity);
	uint32_t ring_size = 2 * capacity / lanes; /* full only when tokens gather in one lane */
	size_t fixed = sizeof(struct kolk__idle_list) + lanes * sizeof(struct lane);
	size_t size = fixed + (size_t)(lanes * ring_size + capacity) * sizeof(uint32_t);
	struct kolk__idle_list *list = kolk__allocate(engine, size);
	uint32_t *words;

	if (list == NULL)
		return NULL;
	words = (uint32_t *)(void *)((char *)list + fixed);
	list->lanes = lanes;
	list->capacity = capacity;
	list->size = size;
	for (uint32_t i = 0; i < lanes; i++) {
		kolk__ring_init(&list->lane[i].ring, ring_size);
		list->lane[i].buffer = words + i * ring_size;
	}
	list->below = (kolk__atomic_u32 *)(void *)(words + lanes * ring_size);
	return list;
}

void kolk__idle_list_free(struct kolk_engine *engine, struct kolk__idle_list *list)
{
	if (list != NULL)
		kolk__deallocate(engine, list, list->size);
}

/* ---- the stack */

static uint64_t stack_word(uint64_t seen, uint32_t top)
{
	return ((seen >> 32) + 1) << 32 | top;
}

static void stack_push(struct kolk__idle_list *list, uint32_t token)
{
	uint64_t seen = kolk__load_relaxed(&list->stack);

	do /* published by the compare-and-swap, and read after the pop's load of stack */
		kolk__store_relaxed(&list->below[token], (uint32_t)seen);
	while (!kolk__cas_sc(&list->stack, &seen, stack_word(seen, token + 1)));
}

static bool stack_pop(struct kolk__idle_list *list, uint32_t *token)
{
	uint64_t seen = kolk__load_sc(&list->stack), word;

	do {
		if ((uint32_t)seen == 0)
			return false;
		*token = (uint32_t)seen - 1;
		word = stack_word(seen, kolk__load_relaxed(&list->below[*token]));
	} while (!kolk__cas_sc(&list->stack, &seen, word));
	return true;
}

/* ---- lanes */

/* False = another thread is its producer, or it is full. */
static bool ring_put(struct lane *lane, uint32_t token)
{
	bool put;

	if (kolk__load_relaxed(&lane->producer) != 0 ||
	    kolk__exchange_acq_rel(&lane->producer, 1) != 0)
		return false;
	put = kolk__ring_put(&lane->ring, lane->buffer, token);
	KOLK__ASSERT(kolk__own(&lane->producer) == 1); /* this thread */
	/* The next producer's exchange acquires what this one wrote to the ring. If this thread
	 * stops before the store, others put their tokens onto the stack. */
	kolk__store_release(&lane->producer, 0);
	return put;
}

static bool lane_take(struct lane *lane, uint32_t *token)
{
	for (uint32_t i = 0; i < RECENT; i++) {
		uint32_t seen = kolk__load_sc(&lane->recent[i]);

		if (seen != 0)
			seen = kolk__exchange_sc(&lane->recent[i], 0);
		if (seen != 0) {
			*token = seen - 1;
			return true;
		}
	}
	return kolk__ring_take(&lane->ring, lane->buffer, token);
}

/* MARK: after a token was put there. */
static void mark(struct kolk__idle_list *list, uint32_t i)
{
	if (!(kolk__load_sc(&list->filled) >> i & 1))
		kolk__or_sc(&list->filled, UINT64_C(1) << i);
}

static void list_put(struct kolk__idle_list *list, uint32_t token)
{
	uint32_t i = own_lane(list);
	struct lane *lane = &list->lane[i];
	uint32_t displaced = kolk__exchange_sc(&lane->recent[token % RECENT], token + 1);

	if (displaced != 0) {
		if (!ring_put(lane, displaced - 1)) {
			stack_push(list, displaced - 1);
			mark(list, STACK);
		}
		kolk__fence_sc(); /* MARK, SC1: the ring has published with less */
	}
	mark(list, i);
}

static bool part_take(struct kolk__idle_list *list, uint32_t i, uint32_t *token)
{
	return i == STACK ? stack_pop(list, token) : lane_take(&list->lane[i], token);
}

/* A lane or the stack, whose mark was set. */
static bool marked_take(struct kolk__idle_list *list, uint32_t i, uint32_t *token)
{
	if (part_take(list, i, token))
		return true;
	kolk__and_sc(&list->filled, ~(UINT64_C(1) << i));
	kolk__fence_sc(); /* MARK */
	if (!part_take(list, i, token))
		return false;
	kolk__or_sc(&list->filled, UINT64_C(1) << i); /* DUTY */
	return true;
}

static bool list_take(struct kolk__idle_list *list, uint32_t *token)
{
	uint64_t filled = kolk__load_sc(&list->filled);
	uint32_t own = own_lane(list);

	for (uint32_t n = 0; filled != 0 && n < list->lanes; n++) {
		uint32_t i = (own + n) & (list->lanes - 1);

		if ((filled >> i & 1) && marked_take(list, i, token))
			return true;
	}
	return (filled >> STACK & 1) && marked_take(list, STACK, token);
}

/* ---- of a key */

/* The lowest first. */
static bool bits_take(struct kolk__conn_table *table, uint32_t *position)
{
	uint64_t bits = kolk__load_sc(&table->bits), bit;

	while (bits != 0) {
		bit = bits & -bits;
		bits = kolk__and_sc(&table->bits, ~bit);
		if (bits & bit) {
			*position = (uint32_t)__builtin_ctzll(bit);
			return true;
		}
	}
	return false;
}

void kolk__token_put(struct kolk_key *key, uint32_t position)
{
	struct kolk__conn_table *table = kolk__load_acquire(&key->table); /* KEY.A1 <- KEY.R1 */
	uint32_t i = kolk__segment_of(position);
	uint64_t bit, before;

	if (position >= KOLK__BIT_TOKENS) {
		list_put(kolk__segment_at(table, i)->idle,
			 position - kolk__segment_begin(i));
		return;
	}
	bit = UINT64_C(1) << position;
	before = kolk__or_sc(&table->bits, bit);
	KOLK__ASSERT(!(before & bit)); /* there is one token */
	(void)before;
}

bool kolk__token_take(struct kolk_key *key, uint32_t *position)
{
	struct kolk__conn_table *table = kolk__load_acquire(&key->table); /* KEY.A1 <- KEY.R1 */
	struct kolk__segment *segment;
	uint32_t token;

	if (table == NULL)
		return false;
	if (bits_take(table, position))
		return true;
	for (uint32_t i = kolk__segment_of(KOLK__BIT_TOKENS); i < KOLK__SEGMENTS; i++) {
		segment = kolk__segment_at(table, i);
		if (segment == NULL)
			return false;
		if (list_take(segment->idle, &token)) {
			*position = kolk__segment_begin(i) + token;
			return true;
		}
	}
	return false;
}

bool kolk__token_peek(struct kolk_key *key, uint32_t *position)
{
	struct kolk__conn_table *table = kolk__load_acquire(&key->table); /* KEY.A1 <- KEY.R1 */
	uint64_t bits = table != NULL ? kolk__load_relaxed(&table->bits) : 0; /* a hint */

	if (bits == 0)
		return false;
	*position = (uint32_t)__builtin_ctzll(bits);
	return true;
}

bool kolk__may_have_idle(const struct kolk_key *key)
{
	struct kolk__conn_table *table = kolk__load_acquire(&key->table); /* KEY.A1 <- KEY.R1 */
	const struct kolk__segment *segment;

	if (table == NULL)
		return false;
	if (kolk__load_sc(&table->bits) != 0)
		return true;
	for (uint32_t i = kolk__segment_of(KOLK__BIT_TOKENS); i < KOLK__SEGMENTS; i++) {
		segment = kolk__segment_at(table, i);
		if (segment == NULL)
			return false;
		if (kolk__load_sc(&segment->idle->filled) != 0)
			return true;
	}
	return false;
}

/* ---- for check.c */

static uint32_t list_count(const struct kolk__idle_list *list)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < list->lanes; i++) {
		for (uint32_t n = 0; n < RECENT; n++)
			count += kolk__load_relaxed(&list->lane[i].recent[n]) != 0;
		count += kolk__ring_count(&list->lane[i].ring);
	}
	for (uint32_t top = (uint32_t)kolk__load_relaxed(&list->stack); top != 0; count++)
		top = kolk__load_relaxed(&list->below[top - 1]);
	return count;
}

uint32_t kolk__tokens_count(const struct kolk_key *key)
{
	const struct kolk__conn_table *table = kolk__own(&key->table);
	uint32_t count;

	KOLK__HELD(&key->lock);
	if (table == NULL)
		return 0;
	count = (uint32_t)__builtin_popcountll(kolk__load_relaxed(&table->bits));
	for (uint32_t i = 0; kolk__segment_at(table, i) != NULL; i++)
		if (kolk__segment_at(table, i)->idle != NULL)
			count += list_count(kolk__segment_at(table, i)->idle);
	return count;
}
