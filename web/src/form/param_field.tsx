/* The right field for a parameter, by its type. */
import { duration } from '../format';
import { numberOf, setValue } from '../state/draft';
import type { Param } from '../types';
import { IconButton } from '../ui/button';
import { Enhance } from './enhance';
import { Field } from './field';
import { MEDIA } from './groups';
import { ChoiceInput, LinesInput, NumberInput, ProseInput, SegmentInput, TextInput } from './inputs';
import { LorasField } from './loras';
import { MediaField } from './media';

/* A seed that is easy to read and to say. */
function throwDice(): string {
    return String(crypto.getRandomValues(new Uint32Array(1))[0]! % 1000000);
}

function SeedField({ param }: { param: Param }) {
    return (
        <Field param={param}>
            <div class="with-button">
                <NumberInput param={param} />
                <IconButton icon="dice" label="Throw a seed" onClick={() => setValue(param.name, throwDice())} />
            </div>
        </Field>
    );
}

function clipLength() {
    const frames = numberOf('frames');
    const fps = numberOf('fps');
    return frames && fps ? duration(frames / fps) : null;
}

export function ParamField({ param }: { param: Param }) {
    if (MEDIA.includes(param.name))
        return <MediaField param={param} />;
    if (param.type === 'loras')
        return <LorasField param={param} />;
    if (param.name === 'seed')
        return <SeedField param={param} />;
    if (param.name === 'prompt')
        return (
            <Field param={param} wide aside={<Enhance />}>
                <ProseInput param={param} rows={4} hint="Describe what the video shows: who or what, how it moves, where, in which light" />
            </Field>
        );
    if (param.name === 'negative_prompt')
        return <Field param={param} wide><ProseInput param={param} rows={2} hint="What it must not show" /></Field>;
    if (param.name === 'speed')
        return <Field param={param} wide><SegmentInput param={param} /></Field>;
    if (param.name === 'frames')
        return <Field param={param} aside={clipLength()}><NumberInput param={param} /></Field>;
    switch (param.type) {
        case 'texts':
            return <Field param={param} wide><LinesInput param={param} /></Field>;
        case 'choice':
            return <Field param={param}><ChoiceInput param={param} /></Field>;
        case 'int':
        case 'real':
        case 'bytes':
        case 'reals':
            return <Field param={param}><NumberInput param={param} /></Field>;
        default:
            return <Field param={param} wide><TextInput param={param} /></Field>;
    }
}
