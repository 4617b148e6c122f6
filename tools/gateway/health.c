/* SPDX-License-Identifier: Apache-2.0 */
/* health.c - requests of the gateway's own that find out whether members of balancers are well. */
#include "tools/gateway/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/say.h"

#define FIRST_NS (200 * KOLK_MS_NS) /* the first checks come within this */

/* The checks of one member. Loop 0's alone. When the next view takes them over, a check that is under
 * way goes on: what it says is its heir's, which awaits it. */
struct gw_probe {
	struct kolk_timer timer;
	struct gw_loop *loop;
	struct gw_view *view;      /* used until it is stopped and exchange has ended */
	const struct gw_balancer_options *options;
	const struct gw_member *member;
	struct kolk_http_exchange *exchange; /* NULL = no check is under way */
	struct gw_probe *heir;     /* of this check; NULL = none */
	struct gw_probe *awaited;  /* whose heir it is: it begins none before; NULL = none */
	uint64_t due_ns;           /* the next check, while the timer runs */
	uint64_t answered;         /* by the member before this check */
	uint32_t status;           /* of its answer; 0 = none came */
	bool stopped;
};

enum verdict { GOOD, BAD, UNKNOWN };

/* ---- what a check says */

/* A check that got no connection says nothing of a member that answers others meanwhile, nor when
 * limits of ours are why. */
static enum verdict verdict_of(const struct gw_probe *probe, enum kolk_err err, const char *phase)
{
	const struct gw_balancer_options *options = probe->options;
	uint32_t status = probe->status;

	switch (err) {
	case KOLK_OK:
		return (options->health_status != 0 ? status == options->health_status :
						      status >= 200 && status <= 299) ? GOOD : BAD;
	case KOLK_E_DRAINING:
	case KOLK_E_CANCELLED:
	case KOLK_E_MEMORY:
	case KOLK_E_FILES:
	case KOLK_E_PORTS:
	case KOLK_E_LIMIT:
	case KOLK_E_QUEUE_FULL:
		return UNKNOWN;
	case KOLK_E_TIMEOUT:
	case KOLK_E_DEADLINE:
		return strcmp(phase, "acquire") == 0 &&
		       kolk__load_relaxed(&probe->member->load->answered) != probe->answered ?
			       UNKNOWN : BAD;
	default:
		return BAD;
	}
}

static void say_change(const struct gw_probe *probe, bool down, enum kolk_err err, const char *phase)
{
	const char *balancer = probe->options->name, *member = probe->member->name;

	if (!down)
		gw_say("balancer %s: %s is up", balancer, member);
	else if (err == KOLK_OK)
		gw_say("balancer %s: %s is down: status %u", balancer, member, probe->status);
	else
		gw_say("balancer %s: %s is down: %s (%s)", balancer, member, kolk_err_text(err),
		       phase);
}

static void take_verdict(struct gw_probe *probe, enum kolk_err err, const char *phase)
{
	struct gw_load *load = probe->member->load;
	const uint32_t healthy = probe->options->healthy_after != 0 ? probe->options->healthy_after : 2;
	const uint32_t unhealthy =
		probe->options->unhealthy_after != 0 ? probe->options->unhealthy_after : 3;
	const bool down = kolk__own(&load->down);
	enum verdict verdict = verdict_of(probe, err, phase);

	kolk__own_add(&load->checks, 1);
	kolk__store_relaxed(&load->status, probe->status);
	kolk__store_relaxed(&load->err, err);
	if (verdict == UNKNOWN)
		return;
	if (verdict == BAD)
		kolk__own_add(&load->checks_failed, 1);
	load->in_a_row = (verdict == BAD) != down ? load->in_a_row + 1 : 0;
	if (load->in_a_row < (down ? healthy : unhealthy))
		return;
	load->in_a_row = 0;
	kolk__store_relaxed(&load->down, !down);
	say_change(probe, !down, err, phase);
}

/* ---- a check */

static void on_timer(struct kolk_timer *timer, void *user);

static uint64_t random_below(struct gw_loop *loop, uint64_t bound)
{
	loop->random ^= loop->random << 13;
	loop->random ^= loop->random >> 7;
	loop->random ^= loop->random << 17;
	return loop->random % bound;
}

static void schedule(struct gw_probe *probe, uint64_t due_ns)
{
	probe->due_ns = due_ns;
	(void)kolk_timer_start(probe->loop->loop, &probe->timer, due_ns, on_timer, probe);
}

static void check_ended(struct gw_probe *probe, enum kolk_err err, const char *phase)
{
	uint64_t interval_ns = probe->options->health_interval_ns;

	take_verdict(probe, err, phase);
	interval_ns = interval_ns != 0 ? interval_ns : 5 * KOLK_S_NS;
	schedule(probe, kolk_in_ns(interval_ns - interval_ns / 10 +
				   random_below(probe->loop, interval_ns / 5)));
}

static void on_head(void *user, struct kolk_http_exchange *exchange, const struct kolk_http_head *head)
{
	struct gw_probe *probe = user;

	(void)exchange;
	probe->status = head->status;
}

static void inherit(struct gw_probe *heir, const struct gw_probe *ended, enum kolk_err err,
		    const char *phase)
{
	heir->awaited = NULL;
	heir->answered = ended->answered;
	heir->status = ended->status;
	check_ended(heir, err, phase);
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct gw_probe *probe = user;

	(void)trailers, (void)trailer_count;
	probe->exchange = NULL;
	if (!probe->stopped) {
		check_ended(probe, err, kolk_http_phase_of(err, exchange));
		return;
	}
	if (probe->heir != NULL)
		inherit(probe->heir, probe, err, kolk_http_phase_of(err, exchange));
	gw_view_leave(probe->view, probe->loop->index); /* probe may be gone */
}

static const struct kolk_http_handler handler = { .size = sizeof handler, .head = on_head,
						  .end = on_end };

static void on_timer(struct kolk_timer *timer, void *user)
{
	static const struct kolk_http_field agent = { "user-agent", "kolk-gateway" };
	struct gw_probe *probe = user;
	const struct gw_balancer_options *options = probe->options;
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	enum kolk_err err = KOLK_E_DRAINING;

	(void)timer;
	probe->status = 0;
	probe->answered = kolk__load_relaxed(&probe->member->load->answered);
	who.tenant = "(health)";
	request.target = options->health_path;
	request.authority = probe->member->options->authority;
	request.fields = &agent;
	request.field_count = 1;
	request.replayable = 1;
	request.deadline_ns = kolk_in_ns(options->health_timeout_ns != 0 ?
						 options->health_timeout_ns : 2 * KOLK_S_NS);
	if (probe->member->pool != NULL)
		err = kolk_http_start_as(probe->loop->http, probe->member->pool, &who, &request,
					 &handler, probe, &probe->exchange);
	if (err != KOLK_PENDING) {
		probe->exchange = NULL;
		check_ended(probe, err, kolk_http_phase_of(err, NULL));
	}
}

/* ---- the checks of a view */

/* Those that are not checked are up. */
static uint32_t checked_count(const struct gw_view *view)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < view->config->balancer_count; i++) {
		const struct gw_balancer *balancer = &view->balancers[i];

		if (balancer->options->health_path != NULL)
			count += balancer->count;
		for (uint32_t j = 0; balancer->options->health_path == NULL && j < balancer->count; j++) {
			kolk__store_relaxed(&balancer->members[j].load->down, false);
			balancer->members[j].load->in_a_row = 0;
		}
	}
	return count;
}

/* The loop uses the view of the one before still. */
static void take_over(struct gw_probe *probe, struct gw_probe *before)
{
	before->stopped = true;
	probe->awaited = before->exchange != NULL ? before : before->awaited;
	before->awaited = NULL;
	if (probe->awaited != NULL)
		probe->awaited->heir = probe;
	else
		schedule(probe, before->due_ns);
	kolk_timer_stop(&before->timer);
	if (before->exchange == NULL)
		gw_view_leave(before->view, before->loop->index);
}

static void probe_begin(struct gw_probe *probe, struct gw_loop *loop, struct gw_view *view)
{
	struct gw_load *load = probe->member->load;
	struct gw_probe *before = load->probe;

	probe->loop = loop;
	probe->view = gw_view_use(view, loop->index);
	load->probe = probe;
	if (before != NULL)
		take_over(probe, before);
	else
		schedule(probe, kolk_in_ns(random_below(loop, FIRST_NS)));
}

/* The loop uses its view still. */
static void probe_end(struct gw_probe *probe)
{
	if (probe->stopped)
		return;
	probe->stopped = true;
	probe->member->load->probe = NULL;
	kolk_timer_stop(&probe->timer);
	if (probe->awaited != NULL) {
		probe->awaited->heir = NULL;
		kolk_http_cancel(probe->awaited->exchange);
	}
	if (probe->exchange != NULL)
		kolk_http_cancel(probe->exchange);
	else
		gw_view_leave(probe->view, probe->loop->index);
}

void gw_health_begin(struct gw_loop *loop, struct gw_view *view)
{
	uint32_t count = loop->index == 0 ? checked_count(view) : 0;
	struct gw_probe *probe;

	if (count == 0)
		return;
	view->probes = calloc(count, sizeof *view->probes);
	if (view->probes == NULL) {
		gw_say("out of memory: members of balancers are not checked");
		return;
	}
	view->probe_count = count;
	probe = view->probes;
	for (uint32_t i = 0; i < view->config->balancer_count; i++) {
		const struct gw_balancer *balancer = &view->balancers[i];

		for (uint32_t j = 0; balancer->options->health_path != NULL && j < balancer->count;
		     j++, probe++) {
			probe->options = balancer->options;
			probe->member = &balancer->members[j];
			probe_begin(probe, loop, view);
		}
	}
}

void gw_health_end(struct gw_loop *loop, struct gw_view *view)
{
	uint32_t count = loop->index == 0 ? view->probe_count : 0;

	for (uint32_t i = 0; i < count; i++)
		probe_end(&view->probes[i]);
}

void gw_health_move(struct gw_loop *loop, struct gw_view *before, struct gw_view *after)
{
	const bool goes_on = before->config == after->config;

	if (!goes_on)
		gw_health_end(loop, before);
	gw_health_begin(loop, after);
	if (goes_on)
		gw_health_end(loop, before); /* of members that went */
}
