/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alarm.h - a time at which maintenance runs a function. Any thread arms and disarms it (under
 * maintain.lock), maintenance fires it.
 */
#ifndef KOLK_ALARM_H
#define KOLK_ALARM_H

#include "core/base/heap.h"

struct kolk_engine;
struct kolk__conn;

struct kolk__alarm {
	struct kolk__timer timer; /* first: the heap hands out timers */
	/* No lock held. Constant: set when its memory is allocated, never again, because it may
	 * fire late, when that is recycled. */
	void (*fire)(struct kolk__alarm *alarm, uint64_t now_ns);
};

/* Wake maintenance: it looks again before it sleeps. */
void kolk__maintain_kick(struct kolk_engine *engine);
/* It shall look then at the latest. */
void kolk__maintain_by(struct kolk_engine *engine, uint64_t due_ns);

/* Arm for due_ns at the latest: an armed alarm is only moved forward. */
void kolk__alarm_arm(struct kolk_engine *engine, struct kolk__alarm *alarm, uint64_t due_ns);
void kolk__alarm_disarm(struct kolk_engine *engine, struct kolk__alarm *alarm);
/* The same of a connection. There are many: what fires is known (maintain.c), and none is disarmed
 * when its connection closes. It fires once for what is there then, another one or nothing. */
void kolk__conn_alarm_arm(struct kolk_engine *engine, struct kolk__conn *conn, uint64_t due_ns);
/* The next of both kinds; NULL = none is armed. Under maintain.lock. */
struct kolk__timer *kolk__alarm_next(const struct kolk_engine *engine);

#endif
