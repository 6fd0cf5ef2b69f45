import { useEffect, useRef, useState } from 'preact/hooks';

/* Unix time in seconds, that a component draws again with. */
export function useNow(every_ms: number, isOn = true): number {
    const [now, set] = useState(Date.now() / 1000);
    useEffect(() => {
        if (!isOn)
            return undefined;
        const timer = setInterval(() => set(Date.now() / 1000), every_ms);
        return () => clearInterval(timer);
    }, [every_ms, isOn]);
    return now;
}

/* Calls when the element comes near the visible part of the page. */
export function useNear(call: () => void) {
    const ref = useRef<HTMLDivElement>(null);
    const latest = useRef(call);
    latest.current = call;
    useEffect(() => {
        const watcher = new IntersectionObserver(
            (entries) => {
                if (entries.some((e) => e.isIntersecting))
                    latest.current();
            },
            { rootMargin: '600px' },
        );
        if (ref.current)
            watcher.observe(ref.current);
        return () => watcher.disconnect();
    }, []);
    return ref;
}
