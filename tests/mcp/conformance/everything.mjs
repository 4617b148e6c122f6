// SPDX-License-Identifier: Apache-2.0
// Official clients at a gateway in front of the official server that has sessions alone, over each transport that it
// speaks (BASE/http, BASE/sse, BASE/stdio): everything.mjs BASE GATEWAY FILE. The clients are those of both SDKs, over
// HTTP and as `GATEWAY --stdio PATH FILE`, and of the second in both eras. Fails at the first thing that is not so.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const suite = createRequire(process.env.KOLK_MCP_SUITE + '/package.json');
const from = async name => import(pathToFileURL(suite.resolve(name)).href);
const v1 = { ...await from('@modelcontextprotocol/sdk/client/index.js'),
	...await from('@modelcontextprotocol/sdk/client/streamableHttp.js'),
	...await from('@modelcontextprotocol/sdk/client/stdio.js'), ...await from('@modelcontextprotocol/sdk/types.js') };
const v2 = { ...await from('@modelcontextprotocol/client'), ...await from('@modelcontextprotocol/client/stdio') };
const [base, gateway, file] = process.argv.slice(2);

const transports = {
	http: (sdk, path) => new sdk.StreamableHTTPClientTransport(new URL(base + path)),
	stdio: (sdk, path) => new sdk.StdioClientTransport({ command: gateway, args: ['--stdio', path, file],
		stderr: 'ignore' }),
};

// What a method of the server is called by where its handler is set: a schema, or its name.
const handled = {
	'sampling/createMessage': v1.CreateMessageRequestSchema, 'elicitation/create': v1.ElicitRequestSchema,
	'roots/list': v1.ListRootsRequestSchema, 'notifications/message': v1.LoggingMessageNotificationSchema,
	'notifications/resources/updated': v1.ResourceUpdatedNotificationSchema,
};
const called = (sdk, method) => sdk === v1 ? handled[method] : method;

// Resolves when it has been called with something for which `is` holds; rejects after 10 s.
function awaited(what, is) {
	let came;
	const found = new Promise((resolve, reject) => {
		const timer = setTimeout(() => reject(new Error(`${what} did not come`)), 10000);
		came = seen => is(seen) && (clearTimeout(timer), resolve(seen));
	});
	found.catch(() => {});
	return { came: seen => { came(seen); }, found };
}

function make(sdk, mode) {
	const capabilities = { sampling: {}, elicitation: { form: {} }, roots: {} };
	const client = new sdk.Client({ name: 'kolk-everything', version: '1.0.0' },
		{ capabilities, ...(sdk === v2 && { versionNegotiation: { mode } }) });
	client.setRequestHandler(called(sdk, 'sampling/createMessage'), async ({ params }) => ({ role: 'assistant',
		model: 'none', content: { type: 'text', text: `said of ${params.messages[0].content.text}` } }));
	client.setRequestHandler(called(sdk, 'elicitation/create'), async () => ({ action: 'accept',
		content: { name: 'Ann of Ulm', check: true } }));
	client.setRequestHandler(called(sdk, 'roots/list'), async () => ({ roots: [{ uri: 'file:///srv/kolk', name: 'k' }] }));
	return client;
}

const text = result => result.content.map(part => part.text ?? '').join('\n');
const call = async (client, name, args, options) => text(await client.callTool({ name, arguments: args },
	...(options ?? [])));

async function tools(client, sdk, mode) {
	const names = (await client.listTools()).tools.map(tool => tool.name);
	// The last ones for clients that can be asked.
	for (const name of ['echo', 'get-sum', 'trigger-sampling-request', 'trigger-elicitation-request'])
		assert(names.includes(name), `${name} is listed`);
	assert.match(await call(client, 'echo', { message: 'ü "1"' }), /Echo: ü "1"/);
	assert.match(await call(client, 'get-sum', { a: 2, b: 3 }), /is 5\./);
	const image = await client.callTool({ name: 'get-tiny-image', arguments: {} });
	assert(image.content.some(part => part.type === 'image' && part.mimeType === 'image/png'));
	const weather = await client.callTool({ name: 'get-structured-content', arguments: { location: 'Chicago' } });
	assert.equal(typeof weather.structuredContent.temperature, 'number');
	const wrong = await client.callTool({ name: 'get-sum', arguments: { a: 'x' } }).catch(e => ({ isError: true, e }));
	assert.equal(wrong.isError, true);
	const seen = [];
	// A client without a session tells its own rounds, too, without a total: the server may ask for roots meanwhile.
	const options = { onprogress: ({ progress, total }) => total && seen.push(`${progress}/${total}`) };
	assert.match(await call(client, 'trigger-long-running-operation', { duration: 0.3, steps: 3 },
		sdk === v1 ? [undefined, options] : [options]), /completed/);
	// What is read together with the answer a client may drop, and while it answers the server none comes.
	if (mode === 'legacy') assert.deepEqual(seen.slice(0, 2), ['1/3', '2/3']);
	else assert.deepEqual(seen, ['1/3', '2/3', '3/3'].filter(step => seen.includes(step)));
}

async function asks(client) {
	assert.match(await call(client, 'trigger-sampling-request', { prompt: 'canals', maxTokens: 9 }), /said of .*canals/);
	assert.match(await call(client, 'trigger-elicitation-request', {}), /Ann of Ulm/);
}

async function rest(client) {
	const prompt = await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Ulm' } });
	assert.match(prompt.messages[0].content.text, /Ulm/);
	const { completion } = await client.complete({ ref: { type: 'ref/prompt', name: 'completable-prompt' },
		argument: { name: 'department', value: 'E' } });
	assert.deepEqual(completion.values, ['Engineering']);
	assert((await client.listResources()).resources.length > 0);
	assert((await client.listResourceTemplates()).resourceTemplates.length > 0);
	const uri = 'demo://resource/dynamic/text/1';
	assert.equal((await client.readResource({ uri })).contents[0].uri, uri);
	await assert.rejects(client.readResource({ uri: 'demo://none' }));
}

// What comes on no request's behalf: to clients with a session.
async function unasked(client, sdk) {
	const uri = 'demo://resource/dynamic/text/1';
	const updated = awaited('an update', ({ params }) => params.uri === uri);
	const logged = awaited('a message', ({ params }) => String(params.data).includes(uri));
	client.setNotificationHandler(called(sdk, 'notifications/resources/updated'), updated.came);
	client.setNotificationHandler(called(sdk, 'notifications/message'), logged.came);
	await client.setLoggingLevel('debug');
	await client.subscribeResource({ uri });
	await call(client, 'toggle-subscriber-updates', {});
	await logged.found;
	await updated.found;
	await client.unsubscribeResource({ uri });
	assert.match(await call(client, 'get-roots-list', {}), /file:\/\/\/srv\/kolk/);
}

for (const path of ['/http', '/sse', '/stdio'])
	for (const [name, sdk, mode] of [['v1', v1, 'legacy'], ['v2', v2, 'legacy'], ['v2', v2, 'auto']])
		for (const [by, transport] of Object.entries(transports)) {
			const client = make(sdk, mode);
			let part;
			try {
				part = 'connect';
				await client.connect(transport(sdk, path));
				for (const look of [tools, asks, rest, ...(mode === 'legacy' ? [unasked] : [])]) {
					part = look.name;
					await look(client, sdk, mode);
				}
			} catch (e) {
				console.error(`${path}, ${name}, ${mode}, ${by}, ${part}: ${e.stack}`);
				process.exit(1);
			}
			await client.close();
			console.log(`${path}, ${name}, ${mode}, ${by}`);
		}
