import { dismiss, messages } from '../state/messages';
import { IconButton } from './button';
import { Icon } from './icon';

export function Messages() {
    return (
        <div class="messages" aria-live="polite">
            {messages.value.map((m) => (
                <div key={m.id} class={`message ${m.kind}`} role={m.kind === 'error' ? 'alert' : 'status'}>
                    <Icon name={m.kind === 'error' ? 'warning' : 'check'} />
                    <p>{m.text}</p>
                    <IconButton icon="close" label="Dismiss" onClick={() => dismiss(m.id)} />
                </div>
            ))}
        </div>
    );
}
