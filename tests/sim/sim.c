/* SPDX-License-Identifier: Apache-2.0 */
/* sim.c - the simulator: virtual clock, memory, faults. Sockets and peers: sim_net.c. */
#include "tests/sim/sim_world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define HIDE(memory, size) __asan_poison_memory_region(memory, size)
#define SHOW(memory, size) __asan_unpoison_memory_region(memory, size)
#else
#define HIDE(memory, size) (void)0
#define SHOW(memory, size) (void)0
#endif

#define ARENA_SIZE ((size_t)64 << 20)
#define ARENA_ALIGN ((size_t)1 << 21)

/* ---- randomness */

/* splitmix64: Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014). */
uint64_t kolk__sim_random(struct kolk__sim *sim)
{
	uint64_t z = sim->random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t sim_latency(struct kolk__sim *sim, uint64_t low_ns, uint64_t high_ns)
{
	uint64_t span = (high_ns - low_ns) >> kolk__sim_below(sim, 8);

	return low_ns + kolk__sim_below(sim, span + 1);
}

bool sim_fault(struct kolk__sim *sim, enum kolk__sim_fault fault)
{
	if (sim->chance[fault] == 0 || (kolk__sim_random(sim) & 0xffff) >= sim->chance[fault])
		return false;
	sim->fired[fault]++;
	kolk__sim_record(sim, fault);
	return true;
}

void kolk__sim_chance(struct kolk__sim *sim, enum kolk__sim_fault fault, uint32_t chance)
{
	sim->chance[fault] = chance;
}

uint64_t kolk__sim_fired(const struct kolk__sim *sim, enum kolk__sim_fault fault)
{
	return sim->fired[fault];
}

const char *kolk__sim_fault_name(enum kolk__sim_fault fault)
{
	static const char *const names[] = {
#define NAME(name, text) text,
		KOLK__SIM_FAULTS(NAME)
#undef NAME
	};

	return names[fault];
}

void sim_break(struct kolk__sim *sim, const char *rule)
{
	if (sim->broken == NULL)
		sim->broken = rule;
}

const char *kolk__sim_broken(const struct kolk__sim *sim)
{
	return sim->broken;
}

/* FNV-1a over the bytes of the value. */
void kolk__sim_record(struct kolk__sim *sim, uint64_t value)
{
	for (int i = 0; i < 8; i++, value >>= 8)
		sim->hash = (sim->hash ^ (value & 0xff)) * UINT64_C(0x100000001b3);
}

uint64_t kolk__sim_hash(const struct kolk__sim *sim)
{
	return sim->hash;
}

static void random_bytes(void *context, void *bytes, size_t size)
{
	uint8_t *at = bytes;

	while (size-- > 0)
		*at++ = (uint8_t)kolk__sim_random(context);
}

/* ---- time */

uint64_t kolk__sim_now(const struct kolk__sim *sim)
{
	return sim->now_ns;
}

/* Reading the clock takes time, too. */
static uint64_t now_ns(void *context)
{
	struct kolk__sim *sim = context;

	return sim->now_ns += 20;
}

void kolk__sim_pass(struct kolk__sim *sim, uint64_t ns)
{
	if (sim_fault(sim, KOLK__SIM_JUMP))
		ns += kolk__sim_below(sim, 120 * KOLK_S_NS);
	sim->now_ns += ns;
}

uint64_t kolk__sim_next(const struct kolk__sim *sim)
{
	return sim_net_next(sim);
}

void kolk__sim_on_wait(struct kolk__sim *sim, void (*turn)(void *user), void *user)
{
	sim->turn = turn;
	sim->turn_user = user;
}

/* The others run until the word changes or the time is up. */
static bool wait_word(void *context, uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	struct kolk__sim *sim = context;

	if (*word != expected)
		return true;
	if (sim->now_ns >= deadline_ns)
		return false;
	if (sim->turn != NULL)
		sim->turn(sim->turn_user);
	else
		kolk__sim_pass(sim, KOLK_MS_NS);
	return true;
}

static void wake_word(void *context, uint32_t *word, uint32_t count)
{
	(void)context;
	(void)word;
	(void)count;
}

/* ---- memory: deterministic addresses, so that nothing depends on where things lie */

static unsigned class_of(size_t size)
{
	unsigned class = 6;

	while (((size_t)1 << class) < size)
		class++;
	return class;
}

static void *allocate(void *context, size_t alignment, size_t size)
{
	struct kolk__sim *sim = context;
	unsigned class = class_of(size);
	size_t bytes = (size_t)1 << class;
	size_t align = bytes < 4096 ? bytes : 4096;
	uint8_t *memory = sim->free[class < SIM_CLASSES ? class : 0];

	if (alignment > align)
		sim_break(sim, "an alignment above the size or a page");
	if (class >= SIM_CLASSES || sim_fault(sim, KOLK__SIM_ENOMEM))
		return NULL;
	if (memory != NULL) {
		SHOW(memory, bytes);
		sim->free[class] = *(void **)(void *)memory;
	} else {
		memory = sim->arena_at + (-(uintptr_t)sim->arena_at & (align - 1));
		if (memory + bytes > sim->arena_end)
			return NULL;
		sim->arena_at = memory + bytes;
		SHOW(memory, bytes);
	}
	sim->blocks++;
	HIDE(memory + size, bytes - size);
	return memset(memory, 0, size);
}

static void deallocate(void *context, void *memory, size_t size)
{
	struct kolk__sim *sim = context;
	unsigned class = class_of(size);

	if (sim_ring_uses(sim, memory, size))
		sim_break(sim, "memory was freed under an operation");
	memset(memory, 0xdd, size);
	SHOW(memory, (size_t)1 << class);
	*(void **)memory = sim->free[class];
	sim->free[class] = memory;
	HIDE((uint8_t *)memory, (size_t)1 << class);
	sim->blocks--;
}

static void *page_open(void *context)
{
	return allocate(context, 64, 4096);
}

static void page_close(void *context, void *page)
{
	deallocate(context, page, 4096);
}

const char *kolk__sim_leaks(const struct kolk__sim *sim)
{
	return sim->flying_count != 0 ? "an operation is in flight" :
	       sim->sockets_open != 0 ? "a socket is open" :
	       sim->blocks != 0	      ? "memory is not freed" : NULL;
}

/* ---- open and close */

static uint8_t *arena_map(void)
{
	uint8_t *map = mmap(NULL, ARENA_SIZE + ARENA_ALIGN, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	if (map == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)map & (ARENA_ALIGN - 1);
	if (head > 0)
		munmap(map, head);
	munmap(map + head + ARENA_SIZE, ARENA_ALIGN - head);
	return map + head;
}

struct kolk__sim *kolk__sim_open(uint64_t seed)
{
	struct kolk__sim *sim = calloc(1, sizeof *sim);

	if (sim == NULL)
		return NULL;
	sim->sockets = calloc(SIM_SOCKETS, sizeof sim->sockets[0]);
	sim->arena = arena_map();
	if (sim->sockets == NULL || sim->arena == NULL) {
		kolk__sim_close(sim);
		return NULL;
	}
	sim->arena_at = sim->arena;
	sim->arena_end = sim->arena + ARENA_SIZE;
	HIDE(sim->arena, ARENA_SIZE);
	sim->random_state = seed;
	sim->hash = UINT64_C(0xcbf29ce484222325);
	sim->now_ns = KOLK_S_NS;
	sim->sys = (struct kolk_sys){ .size = sizeof sim->sys, .cpu_count = 2, .context = sim,
				      .now_ns = now_ns, .random_bytes = random_bytes,
				      .allocate = allocate, .deallocate = deallocate,
				      .page_open = page_open, .page_close = page_close,
				      .wait = wait_word, .wake = wake_word };
	sim_net_table(&sim->sys);
	sim_ring_table(&sim->sys);
	return sim;
}

void kolk__sim_close(struct kolk__sim *sim)
{
	sim_net_close(sim);
	sim_ring_close(sim);
	if (sim->arena != NULL) {
		SHOW(sim->arena, ARENA_SIZE);
		munmap(sim->arena, ARENA_SIZE);
	}
	free(sim->sockets);
	free(sim);
}

const struct kolk_sys *kolk__sim_sys(struct kolk__sim *sim)
{
	return &sim->sys;
}
