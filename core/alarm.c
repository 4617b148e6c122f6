/* SPDX-License-Identifier: Apache-2.0 */
/* alarm.c - alarms are armed, and maintenance is woken for them. */
#include "core/alarm.h"

#include "core/engine.h"

void kolk__maintain_kick(struct kolk_engine *engine)
{
	struct kolk__maintain *maintain = &engine->maintain;

	if (kolk__exchange_sc(&maintain->kicked, 1) == 0)
		engine->sys->wake(engine->sys->context, kolk__futex(&maintain->kicked), 1);
}

void kolk__maintain_by(struct kolk_engine *engine, uint64_t due_ns)
{
	struct kolk__maintain *maintain = &engine->maintain;
	bool late;

	kolk__take_lock(engine, &maintain->lock);
	late = due_ns < maintain->next_ns;
	kolk__give_lock(engine, &maintain->lock);
	if (late)
		kolk__maintain_kick(engine);
}

/* Before the end of a turn (next_publish) the turn sees it, after it we see when the next is. */
static void arm(struct kolk_engine *engine, struct kolk__heap *heap, struct kolk__timer *timer,
		uint64_t due_ns)
{
	struct kolk__maintain *maintain = &engine->maintain;
	bool late;

	kolk__take_lock(engine, &maintain->lock);
	if (kolk__timer_is_armed(timer)) {
		if (timer->due_ns <= due_ns) {
			kolk__give_lock(engine, &maintain->lock);
			return;
		}
		kolk__heap_remove(heap, timer);
	}
	kolk__heap_push(heap, timer, due_ns);
	late = due_ns < maintain->next_ns;
	kolk__give_lock(engine, &maintain->lock);
	if (late)
		kolk__maintain_kick(engine);
}

void kolk__alarm_arm(struct kolk_engine *engine, struct kolk__alarm *alarm, uint64_t due_ns)
{
	arm(engine, &engine->maintain.alarms, &alarm->timer, due_ns);
}

void kolk__alarm_disarm(struct kolk_engine *engine, struct kolk__alarm *alarm)
{
	kolk__take_lock(engine, &engine->maintain.lock);
	if (kolk__timer_is_armed(&alarm->timer))
		kolk__heap_remove(&engine->maintain.alarms, &alarm->timer);
	kolk__give_lock(engine, &engine->maintain.lock);
}

void kolk__conn_alarm_arm(struct kolk_engine *engine, struct kolk__conn *conn, uint64_t due_ns)
{
	arm(engine, &engine->maintain.conns, &conn->alarm, due_ns);
}

struct kolk__timer *kolk__alarm_next(const struct kolk_engine *engine)
{
	struct kolk__timer *conn = kolk__heap_min(&engine->maintain.conns);
	struct kolk__timer *other = kolk__heap_min(&engine->maintain.alarms);

	if (conn == NULL || other == NULL)
		return conn != NULL ? conn : other;
	return conn->due_ns < other->due_ns ? conn : other;
}
