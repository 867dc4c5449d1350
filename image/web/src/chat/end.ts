// Stays at the end of the conversation while it grows, until she scrolls up.

import { useEffect, useRef, useState } from "preact/hooks";
import { isReadingBack } from "./chat";

const NEAR_PX = 48;

/** `sent` changes when she sends something: then the end is shown, wherever she was. */
export function useEnd(sent: number) {
  const box = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const place = useRef({ follows: true, top: 0 }).current;
  const [isAway, setAway] = useState(false);

  const jump = () => {
    place.follows = true;
    setAway(false);
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  };

  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current ?? document.body;
    const isNear = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (isNear) place.follows = true;
    else if (scrollTop < place.top - 1) place.follows = false; // only she scrolls up
    place.top = scrollTop;
    setAway(!place.follows);
  };

  useEffect(() => {
    const grown = new ResizeObserver(() => place.follows && jump());
    if (box.current) grown.observe(box.current);
    if (content.current) grown.observe(content.current);
    return () => grown.disconnect();
  }, []);
  useEffect(() => {
    isReadingBack.value = isAway;
  }, [isAway]);
  useEffect(
    () => () => {
      isReadingBack.value = false;
    },
    [],
  );
  useEffect(() => {
    if (sent) jump();
  }, [sent]);

  return { box, content, isAway, jump, scrolled };
}
