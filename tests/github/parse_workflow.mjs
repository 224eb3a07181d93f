// Prints what GitHub's own parser finds wrong with the workflow on stdin, and what stands in it.
import { readFileSync } from "node:fs";
import { register } from "node:module";

// the parser imports its schema without the attribute that Node wants for JSON
const hook = `export const load = (url, context, next) =>
  next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context)`;
register("data:text/javascript," + encodeURIComponent(hook));
const { parseWorkflow, convertWorkflowTemplate, NoOperationTraceWriter } = await import(
  "@actions/workflow-parser"
);
const { parse } = await import("yaml");

const content = readFileSync(0, "utf8");
const { context, value } = parseWorkflow({ name: "w", content }, new NoOperationTraceWriter());
if (value) await convertWorkflowTemplate(context, value);
const errors = context.errors.getErrors().map((error) => error.message);
console.log(JSON.stringify({ errors, workflow: errors.length ? null : parse(content) }));
