import type { ComponentChildren } from 'preact';
import { Icon, type IconName } from './icon';

interface Props {
    onClick?: (e: MouseEvent) => void;
    icon?: IconName;
    kind?: 'plain' | 'primary' | 'danger' | 'quiet';
    title?: string;
    disabled?: boolean;
    type?: 'button' | 'submit';
    pressed?: boolean;
    children?: ComponentChildren;
}

export function Button({ onClick, icon, kind = 'plain', title, disabled, type = 'button', pressed, children }: Props) {
    return (
        <button type={type} class={`button ${kind}`} title={title} disabled={disabled} onClick={onClick}
            aria-pressed={pressed}>
            {icon && <Icon name={icon} size={16} />}
            {children !== undefined && <span>{children}</span>}
        </button>
    );
}

/* An icon alone; its label is read aloud and shown when pointed at. */
export function IconButton(p: { icon: IconName; label: string; onClick: (e: MouseEvent) => void; disabled?: boolean; danger?: boolean }) {
    return (
        <button type="button" class={p.danger ? 'icon-button danger' : 'icon-button'} title={p.label} aria-label={p.label}
            disabled={p.disabled} onClick={p.onClick}>
            <Icon name={p.icon} />
        </button>
    );
}

export function LinkButton(p: { href: string; icon: IconName; children: ComponentChildren; download?: boolean }) {
    return (
        <a class="button plain" href={p.href} download={p.download}>
            <Icon name={p.icon} size={16} />
            <span>{p.children}</span>
        </a>
    );
}
