/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - the tables of error.h and events.h, as text. */
#include <kolk/kolk.h>

const char *kolk_version_text(void)
{
	return "0.1.0";
}

const char *kolk_err_name(enum kolk_err err)
{
	switch (err) {
#define CASE(name, value, class, text) \
	case KOLK_##name:              \
		return "KOLK_" #name;
		KOLK_ERROR_TABLE(CASE)
#undef CASE
	}
	return "unknown";
}

const char *kolk_err_text(enum kolk_err err)
{
	switch (err) {
#define CASE(name, value, class, text) \
	case KOLK_##name:              \
		return text;
		KOLK_ERROR_TABLE(CASE)
#undef CASE
	}
	return "unknown error";
}

enum kolk_class kolk_err_class(enum kolk_err err)
{
	switch (err) {
#define CASE(name, value, class, text) \
	case KOLK_##name:              \
		return KOLK_CLASS_##class;
		KOLK_ERROR_TABLE(CASE)
#undef CASE
	}
	return KOLK_CLASS_BUG;
}

const char *kolk_class_name(enum kolk_class err_class)
{
	static const char *const names[] = { "none",  "retry", "later", "refused",
					     "peer", "trust", "usage", "bug" };

	return (unsigned)err_class <= KOLK_CLASS_BUG ? names[err_class] : "unknown";
}

const char *kolk_phase_name(enum kolk_phase phase)
{
	static const char *const names[] = {
#define NAME(name) #name,
		KOLK_PHASE_TABLE(NAME)
#undef NAME
	};

	return (unsigned)phase < KOLK_PHASES ? names[phase] : "unknown";
}

const char *kolk_reason_name(enum kolk_reason reason)
{
	static const char *const names[] = {
#define NAME(name, fault, err, text) #name,
		KOLK_REASON_TABLE(NAME)
#undef NAME
	};

	return (unsigned)reason < KOLK_REASONS ? names[reason] : "unknown";
}

const char *kolk_reason_text(enum kolk_reason reason)
{
	static const char *const texts[] = {
#define TEXT(name, fault, err, text) text,
		KOLK_REASON_TABLE(TEXT)
#undef TEXT
	};

	return (unsigned)reason < KOLK_REASONS ? texts[reason] : "unknown";
}

bool kolk_reason_is_fault(enum kolk_reason reason)
{
	static const bool faults[] = {
#define FAULT(name, fault, err, text) fault,
		KOLK_REASON_TABLE(FAULT)
#undef FAULT
	};

	return (unsigned)reason < KOLK_REASONS ? faults[reason] : false;
}

const char *kolk_refusal_name(enum kolk_refusal refusal)
{
	static const char *const names[] = {
		"circuit", "account", "dial_failed", "queue_full", "draining", "rotated",
		"deadline", "key_limit", "tenant_limit", "pool_limit", "engine_limit", "timeout",
	};
	_Static_assert(sizeof names / sizeof names[0] == KOLK_REFUSALS, "a name is missing");

	return (unsigned)refusal < KOLK_REFUSALS ? names[refusal] : "unknown";
}

const char *kolk_refusal_text(enum kolk_refusal refusal)
{
	static const char *const texts[] = {
#define TEXT(name, text) text,
		KOLK_REFUSAL_TABLE(TEXT)
#undef TEXT
	};

	return (unsigned)refusal < KOLK_REFUSALS ? texts[refusal] : "unknown";
}

const char *kolk_event_name(enum kolk_event_kind kind)
{
	static const char *const names[KOLK_EVENTS] = {
		"created", "acquired", "released", "destroyed", "evicted", "waiter_queued",
		"waiter_timed_out", "dial_failed", "unhealthy", "healthy", "overdue",
		"draining", "closed",
	};

	return (unsigned)kind < KOLK_EVENTS ? names[kind] : "unknown";
}
