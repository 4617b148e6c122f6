// SPDX-License-Identifier: Apache-2.0
// A client for scenarios of the conformance suite: client.mjs URL, with MCP_CONFORMANCE_SCENARIO and
// MCP_CONFORMANCE_PROTOCOL_VERSION as the suite sets them. It is the official one, and does what the scenario
// looks for; how it went is the suite's to say.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const suite = createRequire(process.env.KOLK_MCP_SUITE + '/package.json');
const { Client, StreamableHTTPClientTransport } = await import(
	pathToFileURL(suite.resolve('@modelcontextprotocol/client')).href);

const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const modern = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION === '2026-07-28';
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');

async function connect(capabilities, ask) {
	const client = new Client({ name: 'kolk-conformance', version: '1.0.0' },
		{ capabilities, versionNegotiation: { mode: modern ? 'auto' : 'legacy' } });
	if (ask) client.setRequestHandler('elicitation/create', ask);
	await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
	return client;
}

// Each tool of the list with these arguments; an error is an answer, too.
async function callAll(client, argumentsOf) {
	const { tools } = await client.listTools();
	for (const { name } of tools)
		await client.callTool({ name, arguments: argumentsOf(name) }).catch(e => console.error(`${name}: ${e}`));
}

const scenarios = {
	async 'initialize'() {
		const client = await connect({});
		await client.listTools();
		return client;
	},
	async 'tools_call'() {
		const client = await connect({});
		await client.listTools();
		await client.callTool({ name: 'add_numbers', arguments: { a: 5, b: 3 } });
		return client;
	},
	async 'elicitation-sep1034-client-defaults'() {
		const client = await connect({ elicitation: { form: { applyDefaults: true } } },
			async () => ({ action: 'accept', content: {} }));
		await callAll(client, () => ({}));
		return client;
	},
	async 'sse-retry'() {
		const client = await connect({});
		await client.listTools();
		await client.callTool({ name: 'test_reconnection', arguments: {} });
		return client;
	},
	async 'request-metadata'() {
		const client = await connect({ roots: { listChanged: true }, sampling: {}, elicitation: {} });
		await client.listTools().catch(e => console.error(`tools/list: ${e}`));
		return client;
	},
	async 'sep-2322-client-request-state'() {
		const client = await connect({ elicitation: {} },
			async () => ({ action: 'accept', content: { confirmed: true } }));
		await callAll(client, () => ({}));
		return client;
	},
	async 'http-standard-headers'() {
		const client = await connect({});
		await callAll(client, () => ({}));
		for (const { uri } of (await client.listResources()).resources)
			await client.readResource({ uri });
		for (const { name } of (await client.listPrompts()).prompts)
			await client.getPrompt({ name, arguments: {} });
		return client;
	},
	async 'http-custom-headers'() {
		const client = await connect({});
		await client.listTools();
		for (const call of context.toolCalls)
			await client.callTool(call);
		return client;
	},
	async 'http-invalid-tool-headers'() {
		const client = await connect({});
		await callAll(client, () => ({ region: 'us-west1' }));
		return client;
	},
	async 'json-schema-ref-no-deref'() {
		const client = await connect({});
		await client.listTools();
		return client;
	},
};

if (!(scenario in scenarios)) {
	console.error(`there is no scenario '${scenario}' here`);
	process.exit(2);
}
const client = await scenarios[scenario]();
await client.close();
