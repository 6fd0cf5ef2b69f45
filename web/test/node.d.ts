/* The little of node that the tests use. */
declare module 'node:test' {
    export default function test(name: string, run: () => void | Promise<void>): void;
}
declare module 'node:assert/strict' {
    const assert: {
        equal(actual: unknown, expected: unknown, message?: string): void;
        deepEqual(actual: unknown, expected: unknown, message?: string): void;
        ok(value: unknown, message?: string): void;
        match(text: string, pattern: RegExp): void;
        rejects(what: Promise<unknown>, check: (e: unknown) => boolean): Promise<void>;
    };
    export default assert;
}
