/* Line icons on a grid of 24. */
const PATHS = {
    generate: 'M12 3v4M12 17v4M3 12h4M17 12h4M6 6l2.5 2.5M15.5 15.5 18 18M18 6l-2.5 2.5M8.5 15.5 6 18',
    queue: 'M4 6h16M4 12h16M4 18h10',
    outputs: 'M4 5h16v14H4zM10 9.5v5l4.5-2.5z',
    models: 'M12 3 4 7.5v9L12 21l8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9',
    settings: 'M4 7h9M19 7h1M4 17h1M11 17h9M16 4.5v5M8 14.5v5',
    dice: 'M5 5h14v14H5zM9 9h.01M15 9h.01M12 12h.01M9 15h.01M15 15h.01',
    close: 'M6 6l12 12M18 6 6 18',
    up: 'M12 19V6M6 11.5 12 5.5l6 6',
    down: 'M12 5v13M6 12.5l6 6 6-6',
    first: 'M5 4h14M12 20V9M7 13.5 12 8.5l5 5',
    pause: 'M9 6v12M15 6v12',
    play: 'M8 5.5v13l10-6.5z',
    retry: 'M19 12a7 7 0 1 1-2.2-5.1M19 4v4.5h-4.5',
    copy: 'M9 9h10v10H9zM15 9V5H5v10h4',
    edit: 'M5 19h3.5L19 8.5 15.5 5 5 15.5zM13 7.5l3.5 3.5',
    trash: 'M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12M10.5 11v5M13.5 11v5',
    download: 'M12 4v11M7 11l5 5 5-5M5 20h14',
    search: 'M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12M15.5 15.5 20 20',
    picture: 'M4 5h16v14H4zM4 16l4.5-4.5 4 4 2.5-2.5 5 5M15.5 9h.01',
    swap: 'M7 8h11M15 5l3 3-3 3M17 16H6M9 13l-3 3 3 3',
    chevron: 'M6 9.5l6 6 6-6',
    left: 'M15 5l-7 7 7 7',
    right: 'M9 5l7 7-7 7',
    check: 'M5 12.5l4.5 4.5L19 7.5',
    warning: 'M12 4 3 19.5h18zM12 10v4M12 16.8h.01',
    plus: 'M12 5v14M5 12h14',
    settingsUse: 'M5 7h9a5 5 0 0 1 0 10H8M8.5 3.5 5 7l3.5 3.5',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
    return (
        <svg class="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor"
            stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
            <path d={PATHS[name]} />
        </svg>
    );
}

export function Logo() {
    return (
        <svg class="logo" width="26" height="26" viewBox="0 0 32 32" fill="none" stroke="currentColor"
            stroke-width="2.4" stroke-linecap="round" aria-hidden="true">
            <circle cx="16" cy="16" r="3.4" fill="currentColor" stroke="none" />
            <path d="M16 8.5V3.5M21.3 10.7l3.5-3.5M23.5 16h5M21.3 21.3l3.5 3.5M16 23.5v5M10.7 21.3l-3.5 3.5M8.5 16h-5M10.7 10.7 7.2 7.2" />
        </svg>
    );
}
