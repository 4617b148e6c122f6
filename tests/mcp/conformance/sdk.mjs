// SPDX-License-Identifier: Apache-2.0
// The official client at a gateway with a federation (BASE/all: servers a and b) and with pooled tools (BASE/own):
// sdk.mjs BASE GATEWAY FILE, also as `GATEWAY --config FILE --stdio PATH`. Fails at the first thing that is not so.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const suite = createRequire(process.env.KOLK_MCP_SUITE + '/package.json');
const from = async name => import(pathToFileURL(suite.resolve(name)).href);
const { Client, StreamableHTTPClientTransport } = await from('@modelcontextprotocol/client');
const { StdioClientTransport } = await from('@modelcontextprotocol/client/stdio');
const [base, gateway, file] = process.argv.slice(2);

const transports = {
	http: path => new StreamableHTTPClientTransport(new URL(base + path)),
	stdio: path => new StdioClientTransport({ command: gateway, args: ['--config', file, '--stdio', path],
		stderr: 'ignore' }),
};

async function names(client) {
	return (await client.listTools()).tools.map(tool => tool.name);
}

async function federation(client) {
	const listed = await names(client);
	for (const server of ['a', 'b']) {
		assert(listed.includes(`${server}_echo`), `${server}_echo is listed`);
		assert(!listed.includes(`${server}_counter`), 'a tool that is denied is not');
		const answer = await client.callTool({ name: `${server}_echo`, arguments: { nonce: `for ${server}` } });
		assert.match(JSON.stringify(answer.content), new RegExp(`for ${server}`));
		await assert.rejects(client.callTool({ name: `${server}_counter`, arguments: { owner: 'x' } }),
			/Unknown tool/);
	}
	assert(!listed.includes('echo'), 'no tool has the name that its server gave it');
	const { prompts } = await client.listPrompts();
	assert(prompts.some(p => p.name === 'a_test_simple_prompt') && prompts.some(p => p.name === 'b_test_simple_prompt'));
	const { resources } = await client.listResources();
	for (const prefix of ['a+', 'b+']) {
		const { uri } = resources.find(r => r.uri === prefix + 'test://static-text');
		assert((await client.readResource({ uri })).contents.length > 0);
	}
}

async function pooled(client) {
	assert.deepEqual((await names(client)).sort(), ['numbers', 'say']);
	const said = await client.callTool({ name: 'say', arguments: { text: `it's; $(id) "so"` } });
	assert.equal(said.isError ?? false, false);
	assert.equal(said.structuredContent.output, `it's; $(id) "so"`);
	const numbers = await client.callTool({ name: 'numbers', arguments: {} });
	assert.equal(numbers.structuredContent.status, 200);
	assert.equal(typeof numbers.structuredContent.body.requests, 'number');
	assert.equal((await client.callTool({ name: 'say', arguments: { text: 7 } })).isError, true);
	await assert.rejects(client.callTool({ name: 'shout', arguments: {} }), /Unknown tool/);
}

for (const [path, look] of [['/all', federation], ['/own', pooled]])
	for (const mode of ['legacy', 'auto'])
		for (const [by, transport] of Object.entries(transports)) {
			const client = new Client({ name: 'kolk-sdk', version: '1.0.0' }, { versionNegotiation: { mode } });
			try {
				await client.connect(transport(path));
				await look(client);
			} catch (e) {
				console.error(`${path}, ${mode}, ${by}: ${e.stack}`);
				process.exit(1);
			}
			await client.close();
			console.log(`${path}, ${mode}, ${by}`);
		}
