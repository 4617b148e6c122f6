/* SPDX-License-Identifier: Apache-2.0 */
/* tracing.c - what is wrong with tracing. */
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/config/file.h"
#include "tools/gateway/tenant.h"
#include "tools/gateway/trace.h"
#include "tools/gateway/url.h"

/* "0.25": from which number on a trace is sampled (trace.h). False = it is no share. */
static bool share_read(const char *text, uint64_t *from)
{
	const char *point = strchr(text, '.');
	double share = strtod(text, NULL); /* in the locale C, which the program never leaves */

	if (text[strspn(text, "0123456789.")] != '\0' || point == text || share > 1 ||
	    (point != NULL && strchr(point + 1, '.') != NULL))
		return false;
	*from = (uint64_t)((1 - share) * (double)GW_TRACE_RANDOM);
	return true;
}

static const char *endpoint_flaw(const struct gw_tracing_options *o, struct gw_url *url)
{
	const char *flaw = gw_url_read(o->endpoint, url);

	if (flaw == NULL && strcmp(url->target, "/") == 0)
		return "write the whole of it: http://127.0.0.1:4318/v1/traces";
	return flaw;
}

void gw_tracing_check(struct gw_check *c)
{
	const struct kolk_config_place *place = kolk_config_place(c->file->place, "tracing");
	struct gw_tracing_options *o = &c->file->config.tracing;
	struct gw_url url = { .target = NULL };
	const char *flaw = o->endpoint != NULL ? endpoint_flaw(o, &url) : NULL;
	struct gw_trouble trouble = { .suggestion = "" };

	if (!share_read(o->sample != NULL ? o->sample : "0.01", &o->sample_from))
		gw_wrong(c, kolk_config_place(place, "sample"), "as 0.01, which is one of a hundred",
			 "'sample' must be 0 to 1, not '%s'", o->sample);
	if (o->endpoint == NULL)
		return;
	if (flaw != NULL)
		gw_wrong(c, kolk_config_place(place, "endpoint"), flaw,
			 "'endpoint' is no URL of a collector");
	if (flaw == NULL && !url.tls && o->ca_file != NULL)
		gw_wrong(c, kolk_config_place(place, "ca_file"), "leave it out",
			 "'ca_file' does not go with http://");
	else if (o->ca_file != NULL && !gw_anchors_read(o->ca_file, &trouble))
		gw_wrong(c, kolk_config_place(place, "ca_file"), trouble.suggestion, "'ca_file': %s",
			 trouble.what);
}
