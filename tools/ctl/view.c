/* SPDX-License-Identifier: Apache-2.0 */
/* view.c - see view.h. */
#include "tools/ctl/view.h"

#include <stdio.h>
#include <string.h>

#include "tools/ctl/text.h"

/* ---- reading */

double view_number(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

uint64_t view_count(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	double real = json_real_value(value);

	if (json_is_integer(value))
		return (uint64_t)json_integer_value(value);
	return real > 0 && real < 1e18 ? (uint64_t)real : 0;
}

const char *view_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

const json_t *view_counters(const json_t *object)
{
	return json_object_get(object, "counters");
}

double view_seconds(const json_t *status, const json_t *before)
{
	double ms = before != NULL ? view_number(status, "timestamp") -
					     view_number(before, "timestamp")
				   : 0;

	return ms > 0 ? ms / 1000 : 0;
}

/* How fast a counter grew; one that fell belongs to a gateway that was started again. */
double view_rate(const json_t *now, const json_t *before, const char *name, double seconds)
{
	double grown = view_number(now, name) - view_number(before, name);

	return seconds > 0 && before != NULL && grown > 0 ? grown / seconds : 0;
}

double view_share(const json_t *now, const json_t *before, const char *part,
		    const char *whole)
{
	double of = view_number(now, whole) - view_number(before, whole);
	double is = view_number(now, part) - view_number(before, part);

	return of > 0 && is > 0 ? (is < of ? is / of : 1) : 0;
}

static uint64_t sum_of(const json_t *counts)
{
	const char *name;
	json_t *value;
	uint64_t sum = 0;

	json_object_foreach((json_t *)counts, name, value) sum +=
		(uint64_t)json_integer_value(value);
	return sum;
}

static uint64_t closed_of(const json_t *status)
{
	const json_t *pool;
	uint64_t sum = 0;
	size_t i;

	json_array_foreach(json_object_get(status, "pools"), i, pool) sum +=
		sum_of(json_object_get(pool, "closeReasons"));
	return sum;
}

uint64_t view_refused(const json_t *object)
{
	return sum_of(json_object_get(object, "refused"));
}

static const char *most_grown(const json_t *now, const json_t *before, uint64_t *most)
{
	const char *name, *which = "";
	json_t *value;

	*most = 0;
	json_object_foreach((json_t *)now, name, value)
	{
		uint64_t count = view_count(now, name), then = view_count(before, name);

		if (count > then && count - then > *most) {
			*most = count - then;
			which = name;
		}
	}
	return which;
}

const char *view_refused_for(const json_t *object, const json_t *before, char *text,
			     size_t capacity)
{
	const json_t *now = json_object_get(object, "refused");
	char clean[40], number[TEXT_NUMBER];
	uint64_t most;
	const char *which = most_grown(now, json_object_get(before, "refused"), &most);

	if (most == 0)
		which = most_grown(now, NULL, &most);
	text[0] = 0;
	if (most != 0)
		snprintf(text, capacity, "%s %s", text_count(most, number),
			 text_clean(which, clean, sizeof clean, 20));
	return text;
}

/* ---- the whole engine */

static void copy(char *to, size_t capacity, const json_t *status, const char *name)
{
	text_clean(view_text(status, name), to, capacity, 0);
}

static void totals(const json_t *engine, struct summary *s)
{
	const json_t *counters = view_counters(engine);
	const json_t *gauges = json_object_get(engine, "connections");

	s->idle = view_count(gauges, "idle");
	s->leased = view_count(gauges, "leased");
	s->dialing = view_count(gauges, "dialing");
	s->pinging = view_count(gauges, "pinging");
	s->closing = view_count(gauges, "closing");
	s->waiting = view_count(engine, "waiting");
	s->acquired = view_count(counters, "acquired");
	s->refused = view_refused(engine);
	s->dial_failed = view_count(counters, "dialFailed");
}

void view_summary(const json_t *status, const json_t *before, struct summary *s)
{
	const json_t *engine = json_object_get(status, "engine"), *now = view_counters(engine);
	const json_t *then = view_counters(json_object_get(before, "engine"));
	double seconds = view_seconds(status, before);
	uint64_t closed = closed_of(status), closed_then = closed_of(before);
	uint64_t refused_then = view_refused(json_object_get(before, "engine"));

	memset(s, 0, sizeof *s);
	copy(s->version, sizeof s->version, status, "version");
	copy(s->backend, sizeof s->backend, status, "backend");
	copy(s->tls, sizeof s->tls, status, "tls");
	s->uptime_s = view_number(status, "uptimeSeconds");
	s->seconds = seconds;
	s->open = view_count(status, "totalConnections");
	s->limit = view_count(json_object_get(status, "config"), "maxTotalConnections");
	totals(json_object_get(status, "engine"), s);
	s->reused = view_share(now, then, "reused", "acquired");
	s->acquired_s = view_rate(now, then, "acquired", seconds);
	s->dialled_s = view_rate(now, then, "dialled", seconds);
	s->dial_failed_s = view_rate(now, then, "dialFailed", seconds);
	view_refused_for(engine, json_object_get(before, "engine"), s->refused_for,
			 sizeof s->refused_for);
	if (seconds > 0 && s->refused > refused_then)
		s->refused_s = (double)(s->refused - refused_then) / seconds;
	if (seconds > 0 && closed > closed_then)
		s->closed_s = (double)(closed - closed_then) / seconds;
}

bool view_alert(const json_t *status, size_t index, struct alert *alert)
{
	const json_t *entry = json_array_get(json_object_get(status, "alerts"), index);
	char subject[80], name[200], what[400];

	if (entry == NULL)
		return false;
	alert->style = strcmp(view_text(entry, "level"), "critical") == 0 ? BAD :
		       strcmp(view_text(entry, "level"), "info") == 0     ? DIM : WARN;
	text_clean(view_text(entry, "subject"), subject, sizeof subject, 16);
	text_clean(view_text(entry, "name"), name, sizeof name, 40);
	text_clean(view_text(entry, "text"), what, sizeof what, 0);
	snprintf(alert->text, sizeof alert->text, "%s%s%s: %s", subject, name[0] != 0 ? " " : "",
		 name, what);
	return true;
}
