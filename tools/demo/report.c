/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - the same figures as a table for people and as one line of JSON. */
#include <stdio.h>
#include <string.h>

#include "tools/demo/demo.h"

/* 45 ns, 1.23 us, 4.56 ms: three digits that matter. */
static const char *time_text(uint64_t ns, char text[16])
{
	double value = (double)ns;
	const char *unit = "ns";

	if (ns >= 1000) {
		value /= 1e3;
		unit = "us";
	}
	if (value >= 1000) {
		value /= 1e3;
		unit = "ms";
	}
	snprintf(text, 16, "%.*f %s", ns < 1000 || value >= 100 ? 0 : value >= 10 ? 1 : 2, value,
		 unit);
	return text;
}

static void quantiles(const char *name, const struct hist *hist)
{
	static const double parts[] = { .5, .99, .999 };
	char text[16];

	printf("    %-10s", name);
	for (int i = 0; i < 3; i++)
		printf("%12s", time_text(hist_at(hist, parts[i]), text));
	printf("%12s\n", time_text(hist->max, text));
}

static double reuse_ratio(const struct kolk_stats *stats)
{
	return stats->acquired > 0 ? (double)stats->reused / (double)stats->acquired : 0;
}

static uint64_t evicted(const struct kolk_stats *stats)
{
	return stats->destroyed[KOLK_REASON_IDLE_TIMEOUT] +
	       stats->destroyed[KOLK_REASON_LIFETIME] + stats->destroyed[KOLK_REASON_ROOM];
}

static void title_put(const char *title, const struct outcome *o)
{
	printf("\n  %-38s %10.0f requests/s", title, o->requests_per_s);
	if (o->failed > 0)
		printf("   %llu failed, last: %s", (unsigned long long)o->failed,
		       kolk_err_text(o->last_error));
	printf("\n    %-10s%12s%12s%12s%12s\n", "", "p50", "p99", "p99.9", "max");
}

static void half(const char *title, const struct outcome *o)
{
	title_put(title, o);
	quantiles("acquire", &o->acquire);
	quantiles("release", &o->release);
	quantiles("request", &o->request);
	printf("    opened %llu, reused %.3f %%, evicted %llu, pinged %llu\n",
	       (unsigned long long)o->stats.created, reuse_ratio(&o->stats) * 100,
	       (unsigned long long)evicted(&o->stats),
	       (unsigned long long)(o->stats.pings_ok + o->stats.pings_failed));
}

/* What callers of the gateway see; behind it, what the origin sees. */
static void fronted_half(const char *title, const char *made, const struct outcome *o)
{
	const double requests = o->requests > 0 ? (double)o->requests : 1;
	const double reused = 1 - (double)o->upstream / requests;

	title_put(title, o);
	quantiles("request", &o->request);
	printf("    %s %llu, reused %.3f %%\n", made, (unsigned long long)o->upstream,
	       reused > 0 ? reused * 100 : 0);
}

static void ratio_put(const struct outcome *pooled, const struct outcome *unpooled)
{
	if (unpooled->requests_per_s > 0)
		printf("\n  pooled serves %.1f x as many requests\n",
		       pooled->requests_per_s / unpooled->requests_per_s);
}

static void fronted_table(const struct outcome fronted[2])
{
	printf("\nthe same server behind kolk-gateway: http-get, TLS upstream\n");
	fronted_half("pooled", "upstream: opened", &fronted[0]);
	fronted_half("a new connection and handshake each", "upstream: opened", &fronted[1]);
	ratio_put(&fronted[0], &fronted[1]);
}

static void mcp_table(const struct outcome mcp[2], uint32_t users)
{
	printf("\nMCP servers behind kolk-gateway: %u users call tools of %d, TLS upstream\n", users,
	       MCP_SERVERS);
	fronted_half("pooled sessions", "sessions: made", &mcp[0]);
	fronted_half("a new session and connection each", "sessions: made", &mcp[1]);
	ratio_put(&mcp[0], &mcp[1]);
}

void report_table(const struct report *report)
{
	const struct options *options = report->options;
	const struct outcome *pooled = report->pooled, *unpooled = report->unpooled;

	printf("kolk %s on %s%s, %s, %u loops, %u callers, %s%s to %s\n", kolk_version_text(),
	       kolk_engine_backend(report->engine),
	       options->backend == KOLK_BACKEND_EPOLL ? " (as asked)" : "", kolk_tls_text(),
	       kolk_engine_loop_count(report->engine), options->callers, options->protocol->name,
	       options->tls ? " over TLS" : "", report->where);
	if (report->warning[0] != 0)
		printf("%s\n", report->warning);
	half("pooled", pooled);
	half(options->tls ? "a new connection and handshake each" : "a new connection each", unpooled);
	ratio_put(pooled, unpooled);
	if (report->fronted != NULL)
		fronted_table(report->fronted);
	if (report->mcp != NULL)
		mcp_table(report->mcp, gateway_mcp_users(options));
}

/* ---- JSON */

static void json_hist(FILE *file, const char *name, const struct hist *hist)
{
	fprintf(file, "\"%s\":{\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu}", name,
		(unsigned long long)hist_at(hist, .5), (unsigned long long)hist_at(hist, .99),
		(unsigned long long)hist_at(hist, .999), (unsigned long long)hist->max);
}

static void json_requests(FILE *file, const char *name, const struct outcome *o)
{
	fprintf(file, "\"%s\":{\"requests_per_s\":%.1f,\"requests\":%llu,\"failed\":%llu,", name,
		o->requests_per_s, (unsigned long long)o->requests,
		(unsigned long long)o->failed);
}

static void json_half(FILE *file, const char *name, const struct outcome *o)
{
	json_requests(file, name, o);
	json_hist(file, "acquire_ns", &o->acquire);
	fputc(',', file);
	json_hist(file, "release_ns", &o->release);
	fputc(',', file);
	json_hist(file, "request_ns", &o->request);
	fprintf(file, ",\"reuse_ratio\":%.6f,\"opened\":%llu,\"evicted\":%llu,\"pinged\":%llu}",
		reuse_ratio(&o->stats), (unsigned long long)o->stats.created,
		(unsigned long long)evicted(&o->stats),
		(unsigned long long)(o->stats.pings_ok + o->stats.pings_failed));
}

static void json_fronted(FILE *file, const char *name, const char *made, const struct outcome *o)
{
	json_requests(file, name, o);
	json_hist(file, "request_ns", &o->request);
	fprintf(file, ",\"%s\":%llu}", made, (unsigned long long)o->upstream);
}

/* Both halves, as an object. */
static void json_gateway(FILE *file, const char *name, const char *made, const struct outcome *two)
{
	fprintf(file, ",\"%s\":{", name);
	json_fronted(file, "pooled", made, &two[0]);
	fputc(',', file);
	json_fronted(file, "unpooled", made, &two[1]);
	fputc('}', file);
}

/* A target comes from the command line: whatever is in it stays inside the quotes. */
static void json_text(FILE *file, const char *name, const char *text)
{
	fprintf(file, "\"%s\":\"", name);
	for (; *text != 0; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', file);
		if ((unsigned char)*text >= 0x20)
			fputc(*text, file);
	}
	fputc('"', file);
}

bool report_json(const struct report *report)
{
	const struct options *options = report->options;
	bool to_stdout = strcmp(options->json, "-") == 0;
	FILE *file = to_stdout ? stdout : fopen(options->json, "w");

	if (file == NULL)
		return false;
	fputc('{', file);
	json_text(file, "backend", kolk_engine_backend(report->engine));
	fputc(',', file);
	json_text(file, "target", report->where);
	fprintf(file, ",\"protocol\":\"%s\",\"tls\":%s,\"loops\":%u,\"callers\":%u,",
		options->protocol->name, options->tls ? "true" : "false",
		kolk_engine_loop_count(report->engine), options->callers);
	json_half(file, "pooled", report->pooled);
	fputc(',', file);
	json_half(file, "unpooled", report->unpooled);
	if (report->fronted != NULL)
		json_gateway(file, "gateway", "upstream_opened", report->fronted);
	if (report->mcp != NULL)
		json_gateway(file, "mcp", "sessions_made", report->mcp);
	fprintf(file, "}\n");
	return to_stdout ? fflush(file) == 0 : fclose(file) == 0;
}
