/* SPDX-License-Identifier: Apache-2.0 */
/* redis_parser.c - hiredis' reader, and its callbacks that build trees of ours (redis_tree.c). */
#include "transport/drivers/redis_parser.h"

#include <hiredis/read.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	LINE_MAX_BYTES = 65536, /* an error or status; those of Redis are far shorter */
	HEAD_MAX_BYTES = 32,    /* the length of a bulk string */
	BULK_MIN = 4096,        /* a string that is copied only once, see bulk_begin */
};

#ifdef REDIS_REPLY_PUSH /* hiredis 1.0 */
typedef size_t element_count;
static const redisReadTask *task_of(const redisReader *reader, int index)
{
	return reader->task[index];
}
#else
typedef int element_count;
#define REDIS_REPLY_PUSH (-2)
#define REDIS_REPLY_VERB (-3)
#define REDIS_REPLY_ATTR (-4)
static const redisReadTask *task_of(const redisReader *reader, int index)
{
	return &reader->rstack[index];
}
#endif

/* ---- what hiredis calls while it reads */

/* The place of an answer: in the array of the batch, or a root. soon: bytes of its text. */
static struct kolk_redis_reply *place_answer(struct redis_parser *parser, size_t soon)
{
	parser->growing = &parser->answer;
	if (parser->batch == NULL)
		return redis_tree_alloc(parser, sizeof(struct kolk_redis_reply), soon, 16);
	if (parser->batch_at == parser->batch_count) /* more than were expected */
		return redis_tree_refuse(parser, KOLK_E_PROTOCOL);
	return &parser->batch[parser->batch_at++];
}

/* The same for any value: it may lie in its array. */
static struct kolk_redis_reply *place(const redisReadTask *task, uint32_t type, size_t soon)
{
	struct redis_parser *parser = task->privdata;
	struct kolk_redis_reply *reply;

	if (task->parent != NULL) {
		const struct kolk_redis_reply *array = task->parent->obj;

		reply = (struct kolk_redis_reply *)(uintptr_t)&array->elements[task->idx];
	} else if (task->type == REDIS_REPLY_PUSH || task->type == REDIS_REPLY_ATTR) {
		parser->growing = &parser->push;
		reply = redis_tree_alloc(parser, sizeof *reply, soon, 16);
	} else {
		reply = place_answer(parser, soon);
	}
	if (reply != NULL)
		*reply = (struct kolk_redis_reply){ .type = type, .text = "" };
	return reply;
}

static bool text_set(struct redis_parser *parser, struct kolk_redis_reply *reply, const char *text,
		     size_t size)
{
	char *copy = redis_tree_alloc(parser, size + 1, 0, 1);

	if (copy == NULL)
		return false;
	memcpy(copy, text, size);
	copy[size] = 0;
	reply->text = copy;
	reply->size = size;
	return true;
}

static const char *const error_names[] = {
	"",
	"OTHER",
#define NAME(name) #name,
	KOLK_REDIS_ERROR_TABLE(NAME)
#undef NAME
};

const char *kolk_redis_error_name(enum kolk_redis_error error)
{
	return (size_t)error < sizeof error_names / sizeof error_names[0] ? error_names[error] :
									    "OTHER";
}

static uint32_t error_of(const char *text, size_t size)
{
	const char *space = memchr(text, ' ', size);
	size_t word = space != NULL ? (size_t)(space - text) : size;

	for (uint32_t i = KOLK_REDIS_ERR; i < sizeof error_names / sizeof error_names[0]; i++)
		if (strlen(error_names[i]) == word && memcmp(error_names[i], text, word) == 0)
			return i;
	return KOLK_REDIS_OTHER;
}

static uint32_t text_type(int type)
{
	switch (type) {
	case REDIS_REPLY_STATUS:
		return KOLK_REDIS_STATUS;
	case REDIS_REPLY_ERROR:
		return KOLK_REDIS_ERROR;
#ifdef REDIS_REPLY_BIGNUM
	case REDIS_REPLY_BIGNUM:
		return KOLK_REDIS_BIGNUM;
#endif
	case REDIS_REPLY_VERB:
		return KOLK_REDIS_VERBATIM;
	default:
		return KOLK_REDIS_STRING;
	}
}

static void *create_string(const redisReadTask *task, char *text, size_t size)
{
	struct redis_parser *parser = task->privdata;
	struct kolk_redis_reply *reply;

	/* hiredis does not check what ends a string. */
	if ((task->type == REDIS_REPLY_STRING || task->type == REDIS_REPLY_VERB) &&
	    (text[size] != '\r' || text[size + 1] != '\n'))
		return redis_tree_refuse(parser, KOLK_E_PROTOCOL);
	if (task->type == REDIS_REPLY_VERB && size >= 4) { /* "txt:" */
		text += 4;
		size -= 4;
	}
	reply = place(task, text_type(task->type), size + 1);
	if (reply == NULL || !text_set(parser, reply, text, size))
		return NULL;
	if (reply->type == KOLK_REDIS_ERROR)
		reply->error = error_of(text, size);
	return reply;
}

static uint32_t array_type(int type)
{
	switch (type) {
#ifdef REDIS_REPLY_MAP
	case REDIS_REPLY_MAP:
		return KOLK_REDIS_MAP;
	case REDIS_REPLY_SET:
		return KOLK_REDIS_SET;
#endif
	case REDIS_REPLY_PUSH:
		return KOLK_REDIS_PUSH;
	default:
		return KOLK_REDIS_ARRAY;
	}
}

static void *create_array(const redisReadTask *task, element_count elements)
{
	struct redis_parser *parser = task->privdata;
	size_t count = (size_t)elements;
	size_t bytes = count * sizeof(struct kolk_redis_reply);
	struct kolk_redis_reply *reply;
	uint32_t depth = 1;

	for (const redisReadTask *up = task->parent; up != NULL; up = up->parent)
		depth++;
	if (count > parser->limits.elements_max || depth > parser->limits.depth_max)
		return redis_tree_refuse(parser, KOLK_E_LIMIT);
	/* An attribute or a push inside a value: no server sends it, and hiredis would count it
	 * as an element. */
	if (task->parent != NULL &&
	    (task->type == REDIS_REPLY_ATTR || task->type == REDIS_REPLY_PUSH))
		return redis_tree_refuse(parser, KOLK_E_PROTOCOL);
	reply = place(task, array_type(task->type), bytes + (count < 4096 ? count : 4096) * 16);
	if (reply == NULL)
		return NULL;
	reply->count = count;
	reply->elements = redis_tree_alloc(parser, bytes, 0, 16);
	return reply->elements != NULL ? reply : NULL;
}

static void *create_integer(const redisReadTask *task, long long value)
{
	struct kolk_redis_reply *reply = place(task, KOLK_REDIS_INTEGER, 0);

	if (reply != NULL)
		reply->integer = value;
	return reply;
}

static void *create_nil(const redisReadTask *task)
{
	return place(task, KOLK_REDIS_NIL, 0);
}

#ifdef REDIS_REPLY_MAP
static void *create_double(const redisReadTask *task, double value, char *text, size_t size)
{
	struct kolk_redis_reply *reply = place(task, KOLK_REDIS_DOUBLE, size + 1);

	if (reply == NULL || !text_set(task->privdata, reply, text, size))
		return NULL;
	reply->number = value;
	return reply;
}

static void *create_bool(const redisReadTask *task, int value)
{
	struct kolk_redis_reply *reply = place(task, KOLK_REDIS_BOOL, 0);

	if (reply != NULL)
		reply->integer = value != 0;
	return reply;
}
#endif

/* Trees are freed as a whole. */
static void free_nothing(void *value)
{
	(void)value;
}

static redisReplyObjectFunctions builders = {
	.createString = create_string,
	.createArray = create_array,
	.createInteger = create_integer,
	.createNil = create_nil,
#ifdef REDIS_REPLY_MAP
	.createDouble = create_double,
	.createBool = create_bool,
#endif
	.freeObject = free_nothing,
};

bool kolk_redis_has_resp3(void)
{
	return REDIS_REPLY_PUSH > 0;
}

/* ---- reading */

enum kolk_err redis_parser_open(struct redis_parser *parser, const struct redis_limits *limits)
{
	*parser = (struct redis_parser){ .limits = *limits, .bulk_min = BULK_MIN };
	parser->reader = redisReaderCreateWithFunctions(&builders);
	if (parser->reader == NULL)
		return KOLK_E_MEMORY;
	parser->reader->privdata = parser;
	return KOLK_OK;
}

void redis_parser_close(struct redis_parser *parser)
{
	if (parser->reader != NULL)
		redisReaderFree(parser->reader);
	redis_parser_drop(parser, &parser->answer);
	redis_parser_drop(parser, &parser->push);
	*parser = (struct redis_parser){ 0 };
}

enum kolk_err redis_parser_expect(struct redis_parser *parser, uint32_t count)
{
	size_t bytes = count * sizeof(struct kolk_redis_reply);
	struct kolk_redis_reply *root;

	parser->growing = &parser->answer;
	root = redis_tree_alloc(parser, sizeof *root, bytes + (count < 4096 ? count : 4096) * 16, 16);
	if (root != NULL)
		parser->batch = redis_tree_alloc(parser, bytes, 0, 16);
	if (root == NULL || parser->batch == NULL) {
		enum kolk_err err = parser->err;

		redis_parser_drop(parser, &parser->answer);
		parser->err = KOLK_OK; /* nothing was read */
		return err;
	}
	*root = (struct kolk_redis_reply){
		.type = KOLK_REDIS_ARRAY, .text = "", .count = count, .elements = parser->batch
	};
	parser->batch_count = count;
	parser->batch_at = 0;
	return KOLK_OK;
}

enum kolk_err redis_parser_feed(struct redis_parser *parser, const void *data, size_t size)
{
	parser->input = data;
	parser->input_size = size;
	return parser->err;
}

enum kolk_err redis_parser_buffer(struct redis_parser *parser)
{
	size_t size = parser->input_size;

	parser->input_size = 0;
	if (parser->err == KOLK_OK && size > 0 &&
	    redisReaderFeed(parser->reader, (const char *)parser->input, size) != REDIS_OK)
		parser->err = KOLK_E_MEMORY;
	return parser->err;
}

/* ---- a long string that is no part of an array: hiredis would collect it before it is copied into
 * its tree; here its bytes go there as they arrive. */

static bool reader_is_idle(const redisReader *reader)
{
	return reader->len == reader->pos &&
	       (reader->ridx < 0 || (reader->ridx == 0 && task_of(reader, 0)->type == -1));
}

/* The length of a string that begins here; 0 = none, or left to hiredis. */
static size_t bulk_length(const struct redis_parser *parser, size_t *head)
{
	const uint8_t *at = parser->input;
	size_t i = 1, length = 0;

	if (parser->input_size < 3 || at[0] != '$' || at[1] == '0')
		return 0;
	for (; i < parser->input_size && i < 12 && at[i] >= '0' && at[i] <= '9'; i++)
		length = length * 10 + (size_t)(at[i] - '0');
	if (i + 1 >= parser->input_size || at[i] != '\r' || at[i + 1] != '\n' ||
	    length < parser->bulk_min || length > parser->limits.bytes_max)
		return 0;
	*head = i + 2;
	return length;
}

static void bulk_begin(struct redis_parser *parser)
{
	size_t head = 0, length = reader_is_idle(parser->reader) ? bulk_length(parser, &head) : 0;
	struct kolk_redis_reply *reply;
	char *text;

	if (length == 0)
		return;
	reply = place_answer(parser, length + 1);
	text = reply != NULL ? redis_tree_alloc(parser, length + 1, 0, 1) : NULL;
	if (text == NULL)
		return;
	*reply = (struct kolk_redis_reply){
		.type = KOLK_REDIS_STRING, .text = text, .size = length
	};
	text[length] = 0;
	parser->bulk = reply;
	parser->bulk_at = 0;
	parser->input += head;
	parser->input_size -= head;
}

/* KOLK_OK: it is whole. */
static enum kolk_err bulk_continue(struct redis_parser *parser, struct kolk_redis_reply **value)
{
	struct kolk_redis_reply *bulk = parser->bulk;
	size_t part = bulk->size > parser->bulk_at ? bulk->size - parser->bulk_at : 0;

	part = part < parser->input_size ? part : parser->input_size;
	memcpy((char *)(uintptr_t)bulk->text + (part > 0 ? parser->bulk_at : 0), parser->input,
	       part);
	parser->bulk_at += part;
	parser->input += part;
	parser->input_size -= part;
	while (parser->input_size > 0 && parser->bulk_at < bulk->size + 2) {
		if (*parser->input != (parser->bulk_at == bulk->size ? '\r' : '\n'))
			return parser->err = KOLK_E_PROTOCOL;
		parser->bulk_at++;
		parser->input++;
		parser->input_size--;
	}
	if (parser->bulk_at < bulk->size + 2)
		return KOLK_PENDING;
	*value = bulk;
	parser->bulk = NULL;
	return KOLK_OK;
}

/* ---- everything else */

/* hiredis waits for a complete string or line, whatever its announced length: not this parser. */
static enum kolk_err incomplete(const struct redis_parser *parser)
{
	const redisReader *reader = parser->reader;
	const char *at = reader->buf + reader->pos;
	size_t left = reader->len - reader->pos;
	int type = reader->ridx >= 0 ? task_of(reader, reader->ridx)->type : -1;
	uint64_t announced = 0;

	if (left == 0 || type == -1)
		return KOLK_PENDING;
	if (type != REDIS_REPLY_STRING && type != REDIS_REPLY_VERB)
		return left > LINE_MAX_BYTES ? KOLK_E_LIMIT : KOLK_PENDING;
	for (size_t i = 0; i < left && at[i] != '\r'; i++) {
		if (i >= HEAD_MAX_BYTES)
			return KOLK_E_PROTOCOL;
		if (at[i] >= '0' && at[i] <= '9' && announced <= parser->limits.bytes_max)
			announced = announced * 10 + (uint64_t)(at[i] - '0');
	}
	return announced > parser->limits.bytes_max ? KOLK_E_LIMIT : KOLK_PENDING;
}

/* An attribute describes the value behind it: it is dropped. */
static bool is_attribute(const struct redis_parser *parser, const struct kolk_redis_reply *value)
{
	return parser->growing == &parser->push && value->type != KOLK_REDIS_PUSH;
}

#ifdef REDIS_REPLY_DOUBLE
static locale_t c_locale;

static void c_locale_make(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* hiredis reads doubles with strtod, which expects the decimal separator of the process' locale. */
static int reader_reply(redisReader *reader, void **root)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	locale_t own;
	int result;

	(void)pthread_once(&once, c_locale_make);
	own = uselocale(c_locale);
	result = redisReaderGetReply(reader, root);
	(void)uselocale(own);
	return result;
}
#else
static int reader_reply(redisReader *reader, void **root)
{
	return redisReaderGetReply(reader, root);
}
#endif

/* A value from what hiredis has; KOLK_PENDING = it needs more. */
static enum kolk_err reader_next(struct redis_parser *parser, struct kolk_redis_reply **value)
{
	void *root = NULL;

	if (reader_reply(parser->reader, &root) != REDIS_OK) {
		if (parser->err == KOLK_OK)
			parser->err = parser->reader->err == REDIS_ERR_OOM ? KOLK_E_MEMORY :
									     KOLK_E_PROTOCOL;
		return parser->err;
	}
	*value = root;
	return root != NULL ? KOLK_OK : KOLK_PENDING;
}

enum kolk_err redis_parser_next(struct redis_parser *parser, struct kolk_redis_reply **value)
{
	enum kolk_err err = parser->err;

	while (err == KOLK_OK) {
		if (parser->bulk == NULL)
			bulk_begin(parser);
		if (parser->err != KOLK_OK)
			return parser->err;
		if (parser->bulk != NULL)
			return bulk_continue(parser, value);
		err = reader_next(parser, value);
		if (err == KOLK_OK && !is_attribute(parser, *value))
			return KOLK_OK;
		if (err == KOLK_OK) {
			redis_parser_drop(parser, &parser->push);
		} else if (err == KOLK_PENDING && parser->input_size > 0) {
			err = redis_parser_buffer(parser);
		} else if (err == KOLK_PENDING) {
			err = incomplete(parser);
			if (err != KOLK_PENDING)
				parser->err = err;
		}
	}
	return err;
}

bool redis_parser_at_boundary(const struct redis_parser *parser)
{
	return parser->bulk == NULL && reader_is_idle(parser->reader);
}

bool redis_parser_in_push(const struct redis_parser *parser)
{
	const redisReader *reader = parser->reader;

	return parser->bulk == NULL && reader->ridx >= 0 &&
	       task_of(reader, 0)->type == REDIS_REPLY_PUSH;
}
